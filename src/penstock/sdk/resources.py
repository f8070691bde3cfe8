"""The groups of a `Client`, one class per noun of the management API."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from penstock.sdk import clock
from penstock.sdk.errors import SdkError
from penstock.sdk.transport import Body

Record = dict[str, Any]
"""One JSON object of the API."""

FILE_TYPE = "application/octet-stream"
JOB_POLL = 0.5
"""Seconds between two looks at a running job."""


class Calls(Protocol):
    """What a group needs of its client."""

    def get(self, path: str, **query: Any) -> Record:
        """GET below /api/v1."""
        ...

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> Record:
        """Another method with a JSON body."""
        ...

    def upload(self, path: str, body: Body, *, content_type: str, query: Mapping[str, Any]) -> Record:
        """POST a file."""
        ...

    def pages(self, path: str, **query: Any) -> Iterator[Record]:
        """Items of all pages."""
        ...


def segment(value: str | int) -> str:
    """Return `value` as one segment of a path."""
    return quote(str(value), safe="@")


def encode(body: Mapping[str, Any]) -> bytes:
    """Return JSON of the fields that are not None."""
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


class _Group:
    def __init__(self, client: Calls) -> None:
        self._client = client


class Prompts(_Group):
    """Versioned prompts and their labels."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the prompts."""
        return self._client.pages("/prompts", **filters)

    def create(self, name: str, **fields: Any) -> Record:
        """Create a prompt with its first version; fields as in `POST /prompts`."""
        return self._client.send("POST", "/prompts", {"name": name, **fields})

    def get(self, name: str) -> Record:
        """Return one prompt with its labels."""
        return self._client.get(f"/prompts/{segment(name)}")

    def versions(self, name: str) -> Iterator[Record]:
        """Yield the versions of a prompt."""
        return self._client.pages(f"/prompts/{segment(name)}/versions")

    def add_version(self, name: str, **fields: Any) -> Record:
        """Add a version; fields as in `POST /prompts/{name}/versions`."""
        return self._client.send("POST", f"/prompts/{segment(name)}/versions", fields)

    def version(self, name: str, number: int) -> Record:
        """Return one version."""
        return self._client.get(f"/prompts/{segment(name)}/versions/{number}")

    def import_program(self, name: str, program: Mapping[str, Any], **options: Any) -> Record:
        """Add each predictor of a saved DSPy program as a version; `outputs=` names output fields not guessed."""
        body = {"format": "dspy", "program": dict(program), **options}
        return self._client.send("POST", f"/prompts/{segment(name)}/import", body)

    def set_label(self, name: str, label: str, version: int, *, note: str | None = None) -> Record:
        """Point a label, such as `production`, at a version.

        For a protected label the answer holds a `request`, which somebody else must approve.
        """
        path = f"/prompts/{segment(name)}/labels/{segment(label)}"
        return self._client.send("PUT", path, {"version": version, "note": note})

    def roll_back(self, name: str, label: str, *, reason: str = "") -> Record:
        """Point a label at the version it had before; again: at the one before that."""
        path = f"/prompts/{segment(name)}/labels/{segment(label)}/rollback"
        return self._client.send("POST", path, {"reason": reason})

    def label_history(self, name: str, label: str) -> Iterator[Record]:
        """Yield the moves of a label, newest first."""
        return self._client.pages(f"/prompts/{segment(name)}/labels/{segment(label)}/history")

    def set_tags(self, name: str, tags: Sequence[str]) -> Record:
        """Replace the tags of a prompt."""
        return self._client.send("PUT", f"/prompts/{segment(name)}/tags", {"tags": [*tags]})

    def requests(self, name: str, **filters: Any) -> Iterator[Record]:
        """Yield requests to move protected labels, newest first; `state="open"` those that wait."""
        return self._client.pages(f"/prompts/{segment(name)}/requests", **filters)

    def approve(self, request_id: str, *, reason: str = "") -> Record:
        """Carry out somebody else's request."""
        return self._client.send(
            "POST", f"/prompts/requests/{segment(request_id)}/approve", {"reason": reason}
        )

    def reject(self, request_id: str, *, reason: str = "") -> Record:
        """Turn a request down, or take back one's own."""
        return self._client.send(
            "POST", f"/prompts/requests/{segment(request_id)}/reject", {"reason": reason}
        )

    def usage(self, name: str, **filters: Any) -> Iterator[Record]:
        """Yield calls, errors, cost, latency and scores per version; `since` and `until` as ISO 8601."""
        return self._client.pages(f"/prompts/{segment(name)}/usage", **filters)

    def where_used(self, name: str) -> Record:
        """Return who includes the prompt, who calls it and what was made with it."""
        return self._client.get(f"/prompts/{segment(name)}/where-used")

    def render(
        self,
        name: str,
        variables: Mapping[str, Any],
        *,
        label: str | None = None,
        version: int | None = None,
    ) -> Record:
        """Return a version filled in by the server."""
        body = {"variables": dict(variables), "label": label, "version": version}
        return self._client.send("POST", f"/prompts/{segment(name)}/render", body)

    def diff(self, name: str, old: int, new: int) -> Record:
        """Return what changed from one version to another."""
        return self._client.get(f"/prompts/{segment(name)}/diff", **{"from": old, "to": new})


class Datasets(_Group):
    """Immutable dataset versions."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the datasets."""
        return self._client.pages("/datasets", **filters)

    def create(self, name: str, **fields: Any) -> Record:
        """Create an empty dataset."""
        return self._client.send("POST", "/datasets", {"name": name, **fields})

    def get(self, name: str) -> Record:
        """Return one dataset with its versions."""
        return self._client.get(f"/datasets/{segment(name)}")

    def version(self, name: str, number: int) -> Record:
        """Return one version: card, schema, profile, lineage."""
        return self._client.get(f"/datasets/{segment(name)}/versions/{number}")

    def upload(
        self,
        name: str,
        source: Path | Iterable[Mapping[str, Any]],
        *,
        format: str = "jsonl",
        on_bad_rows: str = "fail",
        **query: Any,
    ) -> Record:
        """Add a version from a file, or from rows; `on_bad_rows="quarantine"` keeps the good ones of a bad file."""
        path = f"/datasets/{segment(name)}/versions"
        options = {"format": format, "on_bad_rows": on_bad_rows, **query}
        if isinstance(source, Path):
            with source.open("rb") as file:
                return self._client.upload(path, file, content_type=FILE_TYPE, query=options)
        lines = "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in source)
        return self._client.upload(path, lines.encode(), content_type=FILE_TYPE, query=options)

    def rows(self, name: str, number: int, **filters: Any) -> Iterator[Record]:
        """Yield the rows of a version; `split=` chooses one split."""
        return self._client.pages(f"/datasets/{segment(name)}/versions/{number}/rows", **filters)

    def diff(self, name: str, old: int, new: int, **options: Any) -> Record:
        """Return what changed from one version to another; `key=`, `change=`, `skip=` and `limit=` as over HTTP."""
        return self._client.get(f"/datasets/{segment(name)}/diff", **{"from": old, "to": new, **options})

    def pull(self, name: str, **fields: Any) -> Record:
        """Queue a pull from a database, hub or folder; fields as in `POST /datasets/{name}/pull`."""
        return self._client.send("POST", f"/datasets/{segment(name)}/pull", fields)

    def expect(self, name: str, checks: Iterable[Mapping[str, Any]], **fields: Any) -> Record:
        """Set what rows have to meet from now on; `enforce=` and `every_hours=` as over HTTP."""
        body = {"checks": [dict(check) for check in checks], **fields}
        return self._client.send("PUT", f"/datasets/{segment(name)}/expectations", body)

    def expectations(self, name: str) -> Record:
        """Return what rows have to meet."""
        return self._client.get(f"/datasets/{segment(name)}/expectations")

    def check(self, name: str, number: int) -> Record:
        """Queue a check of a version against the expectations of today."""
        return self._client.send("POST", f"/datasets/{segment(name)}/versions/{number}/expectations", {})

    def results(self, name: str, number: int) -> Record:
        """Return what became of a version's checks, newest first."""
        return self._client.get(f"/datasets/{segment(name)}/versions/{number}/expectations")

    def tag(self, name: str, tag: str, number: int) -> Record:
        """Name a version: `name@tag` stands for it until the tag is moved."""
        return self._client.send("PUT", f"/datasets/{segment(name)}/tags/{segment(tag)}", {"version": number})


class Keys(_Group):
    """API keys."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the keys, without their secrets."""
        return self._client.pages("/keys", **filters)

    def create(self, name: str, **fields: Any) -> Record:
        """Make a key; `key` in the answer is shown this once."""
        return self._client.send("POST", "/keys", {"name": name, **fields})

    def rotate(self, key_id: str, grace_seconds: int = 0) -> Record:
        """Give a key a new secret, `key` in the answer, shown this once; the old one works for `grace_seconds`."""
        return self._client.send("POST", f"/keys/{segment(key_id)}/rotate", {"grace_seconds": grace_seconds})

    def revoke(self, key_id: str) -> None:
        """Make a key useless."""
        self._client.send("DELETE", f"/keys/{segment(key_id)}")


class Jobs(_Group):
    """Long work: training, evaluations, exports."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the jobs, newest first."""
        return self._client.pages("/jobs", **filters)

    def get(self, job_id: str) -> Record:
        """Return one job with its progress."""
        return self._client.get(f"/jobs/{segment(job_id)}")

    def cancel(self, job_id: str) -> Record:
        """Ask a job to stop."""
        return self._client.send("POST", f"/jobs/{segment(job_id)}/cancel")

    def wait(self, job_id: str, *, timeout: float = 3600.0) -> Record:
        """Return the job once it succeeded, failed or was cancelled; SdkError after `timeout` seconds."""
        deadline = clock.monotonic() + timeout
        while True:
            job = self.get(job_id)
            if job["state"] not in ("queued", "running"):
                return job
            if clock.monotonic() > deadline:
                raise SdkError(f"Job {job_id} is still {job['state']} after {timeout:g} seconds.")
            clock.sleep(JOB_POLL)


class Gateway(_Group):
    """Providers and routes of the gateway."""

    def providers(self) -> Iterator[Record]:
        """Yield the providers, without their keys."""
        return self._client.pages("/providers")

    def put_provider(self, name: str, **fields: Any) -> Record:
        """Create or replace a provider; fields as in `PUT /providers/{name}`."""
        return self._client.send("PUT", f"/providers/{segment(name)}", fields)

    def routes(self) -> Iterator[Record]:
        """Yield the routes."""
        return self._client.pages("/routes")

    def put_route(self, name: str, **fields: Any) -> Record:
        """Create or replace a route; fields as in `PUT /routes/{name}`."""
        return self._client.send("PUT", f"/routes/{segment(name)}", fields)

    def delete_provider(self, name: str) -> None:
        """Take a provider away."""
        self._client.send("DELETE", f"/providers/{segment(name)}")

    def delete_route(self, name: str) -> None:
        """Take a route away."""
        self._client.send("DELETE", f"/routes/{segment(name)}")
