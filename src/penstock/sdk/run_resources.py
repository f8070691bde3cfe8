"""The group of a `Client` for experiment runs: any trainer is tracked by a few lines around its loop."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from penstock.sdk import clock, code
from penstock.sdk.resources import Calls, Record, segment

SEND_SECONDS = 1.0
"""Metrics are sent at most so often, and at the end."""
MOST_WAITING = 500
"""So many values are sent at once, however short the time."""
_NS_PER_MS = 1_000_000


class TrackedRun:
    """A run that is going on; as a context manager it ends as finished, or failed when the block raises."""

    def __init__(self, client: Calls, record: Record) -> None:
        self._client = client
        self.id: str = record["id"]
        self.name: str = record["name"]
        self._waiting: list[dict[str, Any]] = []
        self._sent = clock.monotonic()

    def log(self, step: int = 0, **metrics: float) -> None:
        """Add values of a step; they are sent together with others about once a second."""
        at = clock.now_ns() // _NS_PER_MS
        self._waiting += [
            {"key": key, "value": float(value), "step": step, "at_ms": at} for key, value in metrics.items()
        ]
        if len(self._waiting) >= MOST_WAITING or clock.monotonic() - self._sent >= SEND_SECONDS:
            self.flush()

    def params(self, **params: Any) -> None:
        """Add parameters; each keeps its first value."""
        self._change(params={key: str(value) for key, value in params.items()})

    def tags(self, **tags: Any) -> None:
        """Set tags."""
        self._change(tags={key: str(value) for key, value in tags.items()})

    def flush(self) -> None:
        """Send what is waiting."""
        waiting, self._waiting = self._waiting, []
        self._sent = clock.monotonic()
        if waiting:
            self._change(metrics=waiting)

    def end(self, status: str = "finished") -> None:
        """Send what is waiting and end the run: finished, failed or killed."""
        self.flush()
        self._change(status=status)

    def _change(self, **fields: Any) -> None:
        self._client.send("PATCH", f"/runs/{segment(self.id)}", fields)

    def __enter__(self) -> "TrackedRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopped = kind is not None and not issubclass(kind, Exception)
        self.end("finished" if kind is None else "killed" if stopped else "failed")


class Runs:
    """Experiment runs."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield runs, newest first; filters as in `GET /runs`."""
        return self._client.pages("/runs", **filters)

    def get(self, run_id: str) -> Record:
        """Return one run with the last value of each metric."""
        return self._client.get(f"/runs/{segment(run_id)}")

    def start(
        self,
        experiment: str = "Default",
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> TrackedRun:
        """Start a run in the experiment of that name, which is made if there is none.

        Tags name the program and its Git commit as MLflow's client does; yours come before them.
        """
        fields = {
            "experiment_id": self._experiment(experiment),
            "name": name,
            "tags": {**code.tags(), **{key: str(value) for key, value in (tags or {}).items()}},
        }
        run = TrackedRun(self._client, self._client.send("POST", "/runs", fields))
        if params:
            run.params(**params)
        return run

    def _experiment(self, name: str) -> str:
        quoted = name.replace("\\", "\\\\").replace("'", "\\'")
        for found in self._client.pages("/experiments", filter=f"name = '{quoted}'"):
            if found["name"] == name:
                return str(found["id"])
        return str(self._client.send("POST", "/experiments", {"name": name})["id"])
