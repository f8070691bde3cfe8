"""The verbs of artifacts: files below a run, a logged model or any other root, kept as blobs."""

from pathlib import Path

from penstock.core import clock
from penstock.core.blobs import BlobRef
from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.tracking.model import Artifact, check_path
from penstock.tracking.store import artifacts as store


def put_artifact(home: Home, actor: Actor, *, root: str, path: str, source: Path | BlobRef) -> Artifact:
    """Store a file at `path` below `root`; one that is there is replaced.

    `source` is a file, or a blob that is stored already. Opens its own short transaction after the bytes are
    stored. Raises Invalid for a path that leaves the root, StorageFull.
    """
    check_path(path)
    with home.read() as uow:
        uow.may(actor, "experiments.write", root)
    ref = source if isinstance(source, BlobRef) else home.blobs.put_file(source)
    made = Artifact(path=path, size=ref.size, sha256=ref.sha256)
    with home.begin() as uow:
        store.put(uow.conn, actor.scope, root, made, clock.now())
    return made


def get_artifact(uow: UnitOfWork, actor: Actor, *, root: str, path: str) -> Artifact:
    """Return a file; raises NotFound."""
    uow.may(actor, "experiments.read", root)
    found = store.get(uow.conn, actor.scope, root, check_path(path))
    if found is None:
        raise NotFound(f"There is no artifact {path!r} in {root!r}.")
    return found


def tree_of(uow: UnitOfWork, actor: Actor, *, root: str, path: str = "") -> list[Artifact]:
    """Return every file below `path`, with paths from the root."""
    uow.may(actor, "experiments.read", root)
    return store.tree(uow.conn, actor.scope, root, check_path(path) if path else "")


def list_artifacts(uow: UnitOfWork, actor: Actor, *, root: str, path: str = "") -> list[Artifact]:
    """Return the files and folders right below `path`, with paths from the root; [] for what is not there."""
    return children(tree_of(uow, actor, root=root, path=path), path)


def children(files: list[Artifact], path: str) -> list[Artifact]:
    """Return what of `files` is right below the folder `path`: files, and folders for what is deeper."""
    start = len(path) + 1 if path else 0
    found: dict[str, Artifact] = {}
    for file in files:
        if path and not file.path.startswith(path + "/"):
            continue
        name, slash, _ = file.path[start:].partition("/")
        if slash:
            folder = file.path[: start + len(name)]
            found[folder] = Artifact(path=folder)
        else:
            found[file.path] = file
    return [found[name] for name in sorted(found)]


def remove_artifacts(uow: UnitOfWork, actor: Actor, *, root: str, path: str = "") -> int:
    """Remove a file, or every file of a folder; returns how many. The bytes stay while others have them."""
    uow.may(actor, "experiments.write", root)
    removed = store.remove(uow.conn, actor.scope, root, check_path(path) if path else "")
    uow.audit(actor, "artifacts.delete", f"{root}/{path}", files=removed)
    return removed
