"""The child's side of its conversation with the supervisor: files in the run's folder that survive either of them.

Reports are appended to `reports.jsonl` as JSON lines; the end is `outcome.json`, put in place whole. The supervisor
asks for a pause by the file `pause`, and answers a checkpoint that must be judged in `verdicts/STEP.json`.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

REPORTS, OUTCOME, PAUSE, VERDICTS = "reports.jsonl", "outcome.json", "pause", "verdicts"
_POLL_SECONDS = 0.05


def put(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file so that a reader sees all of it or nothing."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value))
    part.replace(path)


class Reporter:
    """Called with each report; only the first of several processes is heard."""

    def __init__(self, folder: Path, *, rank: int = 0, judged: bool = False) -> None:
        self.rank = rank
        self.judged = judged
        """Whether each checkpoint waits for a verdict."""
        self._folder = folder
        self._lines = (folder / REPORTS).open("a", encoding="utf-8") if rank == 0 else None

    def __call__(self, report: dict[str, Any]) -> None:
        """Hand a report to the supervisor."""
        if self._lines is not None:
            self._lines.write(json.dumps(report) + "\n")
            self._lines.flush()

    def pause_wanted(self) -> bool:
        """Whether the supervisor asks to stop at the next checkpoint."""
        return (self._folder / PAUSE).exists()

    def verdict(self, step: int, folder: str) -> dict[str, Any]:
        """Return `{"stop", "best_step"}` for the checkpoint in `folder`; waits until it was evaluated."""
        answer = self._folder / VERDICTS / f"{step}.json"
        self({"stage": "checkpoint", "step": step, "folder": folder, "judge": True})
        while not answer.exists():
            time.sleep(_POLL_SECONDS)
        found: dict[str, Any] = json.loads(answer.read_text())
        return found

    def end(self, outcome: dict[str, Any]) -> None:
        """Leave the result or error; of several processes the first one's counts, another's only in its absence."""
        path = self._folder / OUTCOME
        if self.rank == 0 or not path.exists():
            put(path, outcome)

    def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()
