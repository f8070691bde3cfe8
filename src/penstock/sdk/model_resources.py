"""The groups of a `Client` for registered models and the variants made of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.sdk import watching
from penstock.sdk.resources import Calls, Record, segment

ENDED = ("succeeded", "failed", "cancelled")


class Models:
    """Registered model versions."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the models; `query=`, `kind=`, `stage=`, `tag=` choose."""
        return self._client.pages("/models", **filters)

    def get(self, name: str) -> Record:
        """Return one model with its versions and aliases."""
        return self._client.get(f"/models/{segment(name)}")

    def version(self, name: str, number: int) -> Record:
        """Return one version: files with checksums, card, lineage, metrics."""
        return self._client.get(_version(name, number))

    def set_alias(self, name: str, alias: str, version: int) -> Record:
        """Point an alias at a version."""
        path = f"/models/{segment(name)}/aliases/{segment(alias)}"
        return self._client.send("PUT", path, {"version": version})

    def tag(self, name: str, tag: str) -> Record:
        """Put a tag on a model."""
        return self._client.send("PUT", f"/models/{segment(name)}/tags/{segment(tag)}")

    def untag(self, name: str, tag: str) -> Record:
        """Take a tag off a model."""
        return self._client.send("DELETE", f"/models/{segment(name)}/tags/{segment(tag)}")

    def import_from(self, source: str, name: str, **fields: Any) -> str:
        """Bring a model in from `hub`, `folder` or `mlflow`; fields as in `POST /models/import`. Returns the job's id.

        `client.jobs.wait(id)["result"]["ref"]` is the version.
        """
        return str(
            self._client.send("POST", "/models/import", {"source": source, "name": name, **fields})["job"]
        )

    def export(self, name: str, number: int, *, format: str = "gguf", quantization: str = "f16") -> str:
        """Convert a version, or merge an adapter; returns the id of the job, whose result names the new version."""
        body = {"format": format, "quantization": quantization}
        return str(self._client.send("POST", f"{_version(name, number)}/export", body)["job"])

    def set_stage(self, name: str, number: int, stage: str, *, comment: str = "") -> Record:
        """Move a version into a stage; where others must approve, returns `{"request": …}`."""
        return self._client.send(
            "PUT", f"{_version(name, number)}/stage", {"stage": stage, "comment": comment}
        )

    def transitions(self, name: str, number: int) -> Iterator[Record]:
        """Yield what stands against moving the version into each other stage."""
        return self._client.pages(f"{_version(name, number)}/transitions")

    def requests(self, **filters: Any) -> Iterator[Record]:
        """Yield the requests to move versions; `state=`, `model=` choose."""
        return self._client.pages("/models/requests", **filters)

    def approve(self, request_id: str, *, reason: str = "") -> Record:
        """Approve somebody else's request."""
        return self._client.send(
            "POST", f"/models/requests/{segment(request_id)}/approve", {"reason": reason}
        )

    def reject(self, request_id: str, *, reason: str = "") -> Record:
        """Turn a request down, or take one's own back."""
        return self._client.send("POST", f"/models/requests/{segment(request_id)}/reject", {"reason": reason})

    def lineage(self, name: str, number: int, *, direction: str = "both", depth: int | None = None) -> Record:
        """Return the graph around a version: `nodes` and `edges`; `direction` is up, down or both."""
        return self._client.get(f"{_version(name, number)}/lineage", direction=direction, depth=depth)

    def card(self, name: str, number: int) -> Record:
        """Return the card, and what the evidence would write."""
        return self._client.get(f"{_version(name, number)}/card")

    def edit_card(self, name: str, number: int, text: str) -> Record:
        """Put a text of yours in the card's place."""
        return self._client.send("PUT", f"{_version(name, number)}/card", {"text": text})

    def state(self, name: str, number: int, **statement: Any) -> Record:
        """Record `licence=`, `intended_use=` and `signature=`."""
        return self._client.send("PUT", f"{_version(name, number)}/statement", statement)

    def verify(self, name: str, number: int) -> str:
        """Read every stored byte of a version; returns the id of the job, whose result says whether all holds."""
        return str(self._client.send("POST", f"{_version(name, number)}/verify")["job"])


def _version(name: str, number: int) -> str:
    return f"/models/{segment(name)}/versions/{number}"


class Optimisations:
    """Smaller and faster variants of versions."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield optimisations, newest first; `version=` those of one parent."""
        return self._client.pages("/optimise", **filters)

    def methods(self) -> Iterator[Record]:
        """Yield the ways to make a variant, with the options of each."""
        return self._client.pages("/optimise/methods")

    def start(
        self,
        version: str,
        to: Sequence[Mapping[str, Any]],
        *,
        suite: str | Mapping[str, Any] | None = None,
        **plan: Any,
    ) -> Record:
        """Make variants of a version: `to=[{"method": "gguf", "options": {…}}]`; fields as in `POST /optimise`."""
        body = {"version": version, "to": [dict(step) for step in to], "suite": suite}
        return self._client.send("POST", "/optimise", {**body, **plan})

    def get(self, optimisation_id: str) -> Record:
        """Return an optimisation: every variant's figures and quality, and which was chosen."""
        return self._client.get(f"/optimise/{segment(optimisation_id)}")

    def cancel(self, optimisation_id: str) -> Record:
        """Ask an optimisation to stop."""
        return self._client.send("POST", f"/optimise/{segment(optimisation_id)}/cancel")

    def watch(
        self, optimisation_id: str, *, timeout: float | None = None, every: float = watching.EVERY_SECONDS
    ) -> Iterator[Record]:
        """Yield the optimisation whenever it has changed, until it has ended."""
        return watching.changes(
            lambda: self.get(optimisation_id),
            lambda found: found["state"] in ENDED,
            f"The optimisation {optimisation_id}",
            timeout=timeout,
            every=every,
        )

    def wait(self, optimisation_id: str, *, timeout: float = 86_400.0) -> Record:
        """Return the optimisation once it has ended; SdkError after `timeout` seconds."""
        return watching.last_of(self.watch(optimisation_id, timeout=timeout))
