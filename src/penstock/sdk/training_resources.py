"""The groups of a `Client` for training: runs, searches, jobs at providers."""

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.sdk import watching
from penstock.sdk.resources import Calls, Record, segment

ENDED = ("succeeded", "failed", "cancelled")


class Training:
    """Training runs."""

    def __init__(self, client: Calls) -> None:
        self._client = client
        self.searches = Searches(client)
        self.hosted = Hosted(client)

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the runs, newest first; filters as in `GET /training/runs`."""
        return self._client.pages("/training/runs", **filters)

    def start(self, **fields: Any) -> Record:
        """Queue a run; fields as in `POST /training/runs`."""
        return self._client.send("POST", "/training/runs", fields)

    def recipes(self) -> Iterator[Record]:
        """Yield the recipes that come with Penstock: name, description, text."""
        return self._client.pages("/training/recipes")

    def preview(self, recipe: str | dict[str, Any], **values: Any) -> Record:
        """Check every row that a recipe would learn from, and show some with their loss mask; trains nothing.

        `recipe` is the name of a ready one or its keys; `values` win over them.
        """
        return self._client.send("POST", "/training/preview", {"recipe": recipe, "values": values})

    def get(self, run_id: str) -> Record:
        """Return one run."""
        return self._client.get(f"/training/runs/{segment(run_id)}")

    def metrics(self, run_id: str, *, points: int | None = None) -> Record:
        """Return the run's metrics over its steps: of more than `points` (1,000) evenly chosen ones."""
        return self._client.get(f"/training/runs/{segment(run_id)}/metrics", points=points)

    def watch(
        self, run_id: str, *, timeout: float | None = None, every: float = watching.EVERY_SECONDS
    ) -> Iterator[Record]:
        """Yield the run whenever its state or progress has changed, until it has ended or is paused."""
        return watching.changes(
            lambda: self.get(run_id),
            lambda found: found["state"] in (*ENDED, "paused"),
            f"The run {run_id}",
            timeout=timeout,
            every=every,
        )

    def wait(self, run_id: str, *, timeout: float = 86_400.0) -> Record:
        """Return the run once it has ended or is paused; SdkError after `timeout` seconds."""
        return watching.last_of(self.watch(run_id, timeout=timeout))

    def log(self, run_id: str, *, tail: int | None = None) -> str:
        """Return the end of the run's log, `tail` bytes of it."""
        return str(self._client.get(f"/training/runs/{segment(run_id)}/log", tail=tail)["text"])

    def pause(self, run_id: str) -> Record:
        """Ask a run to stop at its next logged step, with a checkpoint to go on from."""
        return self._client.send("POST", f"/training/runs/{segment(run_id)}/pause")

    def resume(self, run_id: str) -> Record:
        """Go on with a paused, failed or cancelled run from its last checkpoint."""
        return self._client.send("POST", f"/training/runs/{segment(run_id)}/resume")

    def cancel(self, run_id: str) -> Record:
        """Ask a run to stop."""
        return self._client.send("POST", f"/training/runs/{segment(run_id)}/cancel")

    def note(self, run_id: str, text: str) -> Record:
        """Replace the note on a run."""
        return self._client.send("PUT", f"/training/runs/{segment(run_id)}/note", {"text": text})

    def artifacts(self, run_id: str) -> Iterator[Record]:
        """Yield the files that a run left: its log and the weights of its checkpoints."""
        return self._client.pages(f"/training/runs/{segment(run_id)}/artifacts")

    def compare(self, run_ids: Sequence[str]) -> Record:
        """Return runs side by side: where their recipes differ, their figures, their curves."""
        return self._client.get("/training/runs/compare", ids=",".join(run_ids))


class Searches:
    """Hyper-parameter searches."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the searches without their trials, newest first."""
        return self._client.pages("/training/searches", **filters)

    def start(self, **fields: Any) -> Record:
        """Queue a search; fields as in `POST /training/searches`."""
        return self._client.send("POST", "/training/searches", fields)

    def get(self, search_id: str) -> Record:
        """Return one search: trials, front, importances."""
        return self._client.get(f"/training/searches/{segment(search_id)}")

    def stop(self, search_id: str) -> Record:
        """Ask a search to stop."""
        return self._client.send("POST", f"/training/searches/{segment(search_id)}/stop")

    def resume(self, search_id: str, trials: int | None = None) -> Record:
        """Go on with an ended search, up to so many `trials` in all."""
        return self._client.send(
            "POST", f"/training/searches/{segment(search_id)}/resume", {"trials": trials}
        )


class Hosted:
    """Fine-tuning jobs at providers."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the jobs, newest first."""
        return self._client.pages("/training/hosted", **filters)

    def start(self, **fields: Any) -> Record:
        """Take a job on; fields as in `POST /training/hosted`."""
        return self._client.send("POST", "/training/hosted", fields)

    def get(self, job_id: str) -> Record:
        """Return one job."""
        return self._client.get(f"/training/hosted/{segment(job_id)}")

    def cancel(self, job_id: str) -> Record:
        """Ask to cancel a job."""
        return self._client.send("POST", f"/training/hosted/{segment(job_id)}/cancel")
