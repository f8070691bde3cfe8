"""The groups of a `Client`, one class per noun of the management API."""

import json
from collections.abc import Iterable, Iterator, Mapping
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

    def set_label(self, name: str, label: str, version: int) -> Record:
        """Point a label, such as `production`, at a version."""
        path = f"/prompts/{segment(name)}/labels/{segment(label)}"
        return self._client.send("PUT", path, {"version": version})

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

    def diff(self, name: str, old: int, new: int) -> Record:
        """Return what changed from one version to another."""
        return self._client.get(f"/datasets/{segment(name)}/diff", **{"from": old, "to": new})


class Evals(_Group):
    """Evaluation runs and gate decisions."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the runs, newest first."""
        return self._client.pages("/evals/runs", **filters)

    def run(self, **fields: Any) -> Record:
        """Start a run; fields as in `POST /evals/runs`."""
        return self._client.send("POST", "/evals/runs", fields)

    def get(self, run_id: str) -> Record:
        """Return one run: metrics with value, low, high and n."""
        return self._client.get(f"/evals/runs/{segment(run_id)}")

    def samples(self, run_id: str, **filters: Any) -> Iterator[Record]:
        """Yield every sample with its output and scores."""
        return self._client.pages(f"/evals/runs/{segment(run_id)}/samples", **filters)

    def compare(self, baseline: str, candidate: str) -> Record:
        """Return the paired comparison of two runs."""
        return self._client.get("/evals/compare", baseline=baseline, candidate=candidate)

    def gates(self, **filters: Any) -> Iterator[Record]:
        """Yield gate decisions, newest first."""
        return self._client.pages("/evals/gates", **filters)


class Feedback(_Group):
    """People's judgement of recorded answers."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield feedback, newest first."""
        return self._client.pages("/feedback", **filters)

    def give(
        self,
        trace_id: str,
        *,
        name: str = "thumb",
        value: Any = None,
        comment: str | None = None,
        span_id: str | None = None,
        source: str | None = None,
    ) -> Record:
        """Attach a thumb, rating, correction, comment or preference to a trace."""
        body = {"name": name, "value": value, "comment": comment, "span_id": span_id, "source": source}
        return self._client.send("POST", "/feedback", {"trace_id": trace_id, **body})

    def build_dataset(self, name: str, *, kind: str = "preference", route: str | None = None) -> Record:
        """Make a dataset version of collected feedback: `preference` pairs or `sft` rows."""
        return self._client.send("POST", "/feedback/datasets", {"name": name, "kind": kind, "route": route})


class Training(_Group):
    """Training runs."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the runs, newest first."""
        return self._client.pages("/training/runs", **filters)

    def start(self, **fields: Any) -> Record:
        """Queue a run; fields as in `POST /training/runs`."""
        return self._client.send("POST", "/training/runs", fields)

    def get(self, run_id: str) -> Record:
        """Return one run."""
        return self._client.get(f"/training/runs/{segment(run_id)}")

    def metrics(self, run_id: str) -> Record:
        """Return the run's metrics over its steps."""
        return self._client.get(f"/training/runs/{segment(run_id)}/metrics")

    def cancel(self, run_id: str) -> Record:
        """Ask a run to stop."""
        return self._client.send("POST", f"/training/runs/{segment(run_id)}/cancel")


class Models(_Group):
    """Registered model versions."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the models."""
        return self._client.pages("/models", **filters)

    def get(self, name: str) -> Record:
        """Return one model with its versions and aliases."""
        return self._client.get(f"/models/{segment(name)}")

    def version(self, name: str, number: int) -> Record:
        """Return one version: files with checksums, card, lineage, metrics."""
        return self._client.get(f"/models/{segment(name)}/versions/{number}")

    def set_alias(self, name: str, alias: str, version: int) -> Record:
        """Point an alias at a version."""
        path = f"/models/{segment(name)}/aliases/{segment(alias)}"
        return self._client.send("PUT", path, {"version": version})


class Deployments(_Group):
    """Models behind endpoints."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the deployments."""
        return self._client.pages("/deployments", **filters)

    def create(self, name: str, model: str, **options: Any) -> Record:
        """Deploy a model version such as `ticket-triage@3`."""
        return self._client.send("POST", "/deployments", {"name": name, "model": model, **options})

    def get(self, name: str) -> Record:
        """Return a deployment's state."""
        return self._client.get(f"/deployments/{segment(name)}")

    def canary(self, name: str, model: str, weight: float) -> Record:
        """Send a part of the traffic to another version."""
        body = {"model": model, "weight": weight}
        return self._client.send("POST", f"/deployments/{segment(name)}/canary", body)

    def promote(self, name: str) -> Record:
        """Give the canary all traffic."""
        return self._client.send("POST", f"/deployments/{segment(name)}/promote")

    def rollback(self, name: str) -> Record:
        """Take the canary, or the last promotion, back."""
        return self._client.send("POST", f"/deployments/{segment(name)}/rollback")

    def remove(self, name: str) -> None:
        """Stop a deployment and take it away."""
        self._client.send("DELETE", f"/deployments/{segment(name)}")


class Keys(_Group):
    """API keys."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the keys, without their secrets."""
        return self._client.pages("/keys", **filters)

    def create(self, name: str, **fields: Any) -> Record:
        """Make a key; `key` in the answer is shown this once."""
        return self._client.send("POST", "/keys", {"name": name, **fields})

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
