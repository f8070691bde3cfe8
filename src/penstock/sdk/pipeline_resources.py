"""The group of a `Client` for pipelines."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.sdk import watching
from penstock.sdk.resources import Calls, Record, segment

ENDED = ("succeeded", "failed", "cancelled")


class Pipelines:
    """Pipelines and their runs."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the pipelines by name: each with its document, number of runs and newest run."""
        return self._client.pages("/pipelines")

    def runs(self, **filters: Any) -> Iterator[Record]:
        """Yield runs, newest first; `pipeline=` those of one, `state=` those in one state."""
        return self._client.pages("/pipelines/runs", **filters)

    def start(
        self,
        pipeline: str | Mapping[str, Any],
        *,
        values: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Record:
        """Queue a run and return it; `pipeline` is a document, or the name of one that has run.

        `values` are those of its parameters. An unfinished run of the same steps and values goes on unless `fresh`.
        """
        what: dict[str, Any] = {"pipeline": pipeline} if isinstance(pipeline, str) else {"document": pipeline}
        body = {**what, "values": dict(values or {}), "fresh": fresh}
        found: Record = self._client.send("POST", "/pipelines/runs", body)["run"]
        return found

    def get(self, run_id: str) -> Record:
        """Return one run with its finished steps."""
        return self._client.get(f"/pipelines/runs/{segment(run_id)}")

    def watch(
        self, run_id: str, *, timeout: float | None = None, every: float = watching.EVERY_SECONDS
    ) -> Iterator[Record]:
        """Yield the run whenever its state, its reason or its steps have changed, until it has ended."""
        return watching.changes(
            lambda: self.get(run_id),
            lambda found: found["state"] in ENDED,
            f"The pipeline run {run_id}",
            timeout=timeout,
            every=every,
        )

    def wait(self, run_id: str, *, timeout: float = 86_400.0) -> Record:
        """Return the run once it has ended; SdkError after `timeout` seconds."""
        return watching.last_of(self.watch(run_id, timeout=timeout))

    def cancel(self, run_id: str) -> Record:
        """Stop a run, with what its step has under way; finished steps stay."""
        return self._client.send("POST", f"/pipelines/runs/{segment(run_id)}/cancel")

    def resume(self, run_id: str) -> Record:
        """Let a failed, cancelled or interrupted run go on behind its finished steps."""
        found: Record = self._client.send("POST", f"/pipelines/runs/{segment(run_id)}/resume")["run"]
        return found
