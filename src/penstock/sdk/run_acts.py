"""Telling the server what a tracked run logged: each act once over HTTP, where twice does no harm."""

from pathlib import Path
from typing import Any, Protocol

from penstock.sdk import run_files
from penstock.sdk.errors import ApiError, NotFound
from penstock.sdk.resources import Calls, encode, segment
from penstock.sdk.run_spool import Act
from penstock.sdk.transport import Sender

KEY = "penstock.client_run"
"""The tag by which a run is found again whose creation was sent, and not answered."""
_MLFLOW = "/mlflow/api/2.0/mlflow"
MOST_VERSIONS = 100
"""So many of the newest versions of a dataset are looked at for a tag."""
DATASET = "penstock"
"""The source type of our own dataset versions."""


class Server(Calls, Protocol):
    """What is needed of a client: the management API, and requests of one's own."""

    @property
    def transport(self) -> Sender:
        """Sends whole requests."""
        ...


class Telling:
    """One run, as the server knows it. Every method raises ApiError and ConnectionFailed."""

    def __init__(self, server: Server, run_id: str = "") -> None:
        self._server = server
        self.run_id = run_id
        self.name = ""

    def do(self, act: Act) -> None:
        """Carry one act out; `do` names it, the rest are its arguments."""
        arguments = {name: value for name, value in act.items() if name != "do"}
        getattr(self, act["do"])(**arguments)

    def create(self, experiment: str, name: str, tags: dict[str, str]) -> None:
        """Start the run, unless an earlier attempt has."""
        known = self._of_key(tags.get(KEY, ""))
        if known is None:
            fields = {"experiment_id": self._experiment(experiment), "name": name, "tags": tags}
            known = self._server.send("POST", "/runs", fields)
        self.run_id, self.name = str(known["id"]), str(known["name"])

    def known(self, run_id: str) -> None:
        """Go on with a run that is there."""
        self.run_id = run_id

    def change(self, **fields: Any) -> None:
        """Add parameters, tags and metrics, or move the status."""
        self._server.send("PATCH", f"/runs/{segment(self.run_id)}", fields)

    def heartbeat(self) -> None:
        """Say that the program is there."""
        self._server.send("POST", f"/runs/{segment(self.run_id)}/heartbeat", {})

    def file(self, path: str, source: str) -> None:
        """Store a file as an artifact."""
        run_files.upload(self._server.transport, self.run_id, path, Path(source))

    def text(self, path: str, text: str) -> None:
        """Store a text as an artifact."""
        run_files.upload_text(self._server.transport, self.run_id, path, text)

    def dataset(self, name: str, digest: str, source: str, kind: str, role: str) -> None:
        """Remember what the run read; a version of ours is looked up, so that its hash is the server's."""
        if kind == DATASET:
            name, digest, source = self._version(source)
        given = {"name": name, "digest": digest, "source_type": kind, "source": source}
        tags = [{"key": "mlflow.data.context", "value": role}] if role else []
        self._post("/runs/log-inputs", run_id=self.run_id, datasets=[{"dataset": given, "tags": tags}])

    def register(self, name: str, path: str) -> str:
        """Register the folder of artifacts `path` as a version of the model `name`; returns its reference."""
        try:
            self._post("/registered-models/create", name=name)
        except ApiError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS" and error.status not in (400, 409):
                raise
        source = f"runs:/{self.run_id}/{path}"
        made = self._post("/model-versions/create", name=name, source=source, run_id=self.run_id)
        return f"{name}@{made['model_version']['version']}"

    def _post(self, path: str, **fields: Any) -> dict[str, Any]:
        answer = self._server.transport.send("POST", _MLFLOW + path, body=encode(fields), repeatable=True)
        found = answer.json()
        return found if isinstance(found, dict) else {}

    def _version(self, ref: str) -> tuple[str, str, str]:
        """Return name, hash and reference of a dataset version given as `name@3`, `name@tag` or `name`."""
        name, _, wanted = ref.partition("@")
        number = wanted if wanted.isdecimal() else self._number(name, wanted)
        found = self._server.get(f"/datasets/{segment(name)}/versions/{number}")
        return name, str(found["hash"])[:100], str(found["ref"])

    def _number(self, name: str, tag: str) -> int:
        """Return the number of the newest version, or of the one that has the tag."""
        latest = int(self._server.get(f"/datasets/{segment(name)}")["latest"])
        if tag in ("", "latest"):
            return latest
        for number in range(latest, max(0, latest - MOST_VERSIONS), -1):
            if tag in self._server.get(f"/datasets/{segment(name)}/versions/{number}")["tags"]:
                return number
        raise NotFound(404, f"The dataset {name!r} has no version {tag!r}; name its number.")

    def _of_key(self, key: str) -> dict[str, Any] | None:
        if not key:
            return None
        page = self._server.get("/runs", filter=f"tags.`{KEY}` = '{key}'", limit=1)
        return page["items"][0] if page.get("items") else None

    def _experiment(self, name: str) -> str:
        if found := self._experiment_named(name):
            return found
        try:
            return str(self._server.send("POST", "/experiments", {"name": name})["id"])
        except ApiError as error:
            if error.status != 409:
                raise
        if found := self._experiment_named(name):  # another made it meanwhile
            return found
        raise ApiError(409, f"The experiment {name!r} is deleted; restore it, or use another name.")

    def _experiment_named(self, name: str) -> str | None:
        quoted = name.replace("\\", "\\\\").replace("'", "\\'")
        same = self._server.pages("/experiments", filter=f"name = '{quoted}'")
        return next((str(found["id"]) for found in same if found["name"] == name), None)
