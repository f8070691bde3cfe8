"""MLflow's artifact proxy: paths are `ROOT/FILE`, where the root is a run, a logged model, an experiment or a trace."""

import mimetypes

from penstock.core.errors import Invalid, NotFound
from penstock.core.uow import UnitOfWork
from penstock.mlflow.call import Answer, Call, Stream
from penstock.mlflow.routing import Routes
from penstock.registry import service as registry
from penstock.tracking import service as tracking
from penstock.tracking.model import Artifact

routes = Routes()
PROXY = "!/api/2.0/mlflow-artifacts/artifacts"
TRACE = "tr-"
REGISTERED = "models"
"""The root of registered versions, read-only: `models/NAME/NUMBER/FILE`."""


def split(path: str) -> tuple[str, str]:
    """Return (root, path below it)."""
    root, _, rest = path.strip("/").partition("/")
    return root, rest


def check_root(call: Call, root: str) -> None:
    """Raise NotFound unless the root is a run, logged model, experiment or trace of the project."""
    if root == REGISTERED:
        raise Invalid("The files of a registered version do not change.")
    if root.startswith(TRACE):
        return
    with call.home.read() as uow:
        if root.startswith("m-"):
            tracking.find_model(uow, call.actor, id=root)
        elif root.startswith("xpt_"):
            tracking.find_experiment(uow, call.actor, id=root)
        else:
            tracking.find_run(uow, call.actor, id=root)


def served(call: Call, file: Artifact) -> Stream:
    """Return a file's bytes."""
    kind = mimetypes.guess_type(file.path)[0] or "application/octet-stream"
    return Stream(call.home.blobs.stream(file.sha256), kind, file.size)


@routes.on(f"PUT {PROXY}/{{path:path}}", body="file")
def upload(call: Call) -> Answer:
    """Store a file."""
    root, path = split(call.needed("path"))
    check_root(call, root)
    if call.file is None:
        raise Invalid("An upload needs a body.")
    tracking.put_artifact(call.home, call.actor, root=root, path=path, source=call.file)
    return {}


@routes.on(f"GET {PROXY}/{{path:path}}")
def download(call: Call) -> Stream:
    """Return a file's bytes."""
    root, path = split(call.needed("path"))
    with call.home.read() as uow:
        if root == REGISTERED:
            files, rest = _registered(uow, call, path)
            found = next((one for one in files if one.path == rest), None)
            if found is None:
                raise NotFound(f"There is no file {rest!r} in this version.")
        else:
            found = tracking.get_artifact(uow, call.actor, root=root, path=path)
    return served(call, found)


def _registered(uow: UnitOfWork, call: Call, path: str) -> tuple[list[Artifact], str]:
    """Return (files of the version, path inside it)."""
    target, _, rest = path.partition("/")
    number, _, rest = rest.partition("/")
    if not number.isdecimal():
        raise NotFound(f"There is no registered version {path!r}.")
    version = registry.get(uow, call.actor, ref=f"{target}@{number}")
    return [Artifact(path=one.path, size=one.size, sha256=one.sha256) for one in version.files], rest


@routes.on(f"GET {PROXY}")
def listing(call: Call) -> Answer:
    """Return what is right below a folder, by names relative to it."""
    root, path = split(call.text("path"))
    return {"files": entries(_children(call, root, path), relative=True)}


def entries(found: list[Artifact], *, relative: bool) -> list[Answer]:
    """Return files and folders as MLflow writes them."""
    return [
        {
            "path": one.path.rpartition("/")[2] if relative else one.path,
            "is_dir": one.is_dir,
            **({} if one.is_dir else {"file_size": one.size}),
        }
        for one in found
    ]


def _children(call: Call, root: str, path: str) -> list[Artifact]:
    if not root:
        return []
    with call.home.read() as uow:
        if root == REGISTERED:
            files, rest = _registered(uow, call, path)
            return tracking.children(files, rest)
        return tracking.list_artifacts(uow, call.actor, root=root, path=path)


@routes.on(f"DELETE {PROXY}/{{path:path}}")
def delete(call: Call) -> Answer:
    """Remove a file or folder."""
    root, path = split(call.needed("path"))
    with call.home.begin() as uow:
        tracking.remove_artifacts(uow, call.actor, root=root, path=path)
    return {}


@routes.on("GET /artifacts/list")
def run_listing(call: Call) -> Answer:
    """Return what is right below a folder of a run."""
    run_id = call.needed("run_id", "run_uuid")
    check_root(call, run_id)
    found = _children(call, run_id, call.text("path").strip("/"))
    return {"root_uri": f"mlflow-artifacts:/{run_id}", "files": entries(found, relative=False)}


@routes.on("GET /logged-models/{model_id}/artifacts/directories")
def model_listing(call: Call) -> Answer:
    """Return what is right below a folder of a logged model."""
    root = call.needed("model_id")
    check_root(call, root)
    path = call.text("artifact_directory_path").strip("/")
    found = _children(call, root, path)
    return {"root_uri": f"mlflow-artifacts:/{root}", "files": entries(found, relative=False)}


@routes.on("GET !/get-artifact")
def get_artifact(call: Call) -> Stream:
    """Return a file of a run."""
    with call.home.read() as uow:
        found = tracking.get_artifact(
            uow, call.actor, root=call.needed("run_id", "run_uuid"), path=call.needed("path")
        )
    return served(call, found)
