"""Nouns of pipelines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor


class RunState(StrEnum):
    """Where a run is."""

    WAITING = "waiting"
    """For a worker, for room on the machine, for another run of the pipeline, or for the server to be back."""
    RUNNING = "running"
    """Under way, or killed: whoever takes it up again goes on behind its finished steps."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """A step raised; resuming the run retries that step."""
    CANCELLED = "cancelled"
    """Somebody stopped it; resuming the run goes on behind its finished steps."""


UNDER_WAY = frozenset({RunState.WAITING, RunState.RUNNING})
RESUMABLE = frozenset({RunState.FAILED, RunState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A finished step."""

    name: str
    result: dict[str, Any]
    seconds: float
    """Wall-clock time of the attempt that finished."""
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """One run of a pipeline with the steps that finished, in order."""

    id: str
    pipeline: str
    number: int
    inputs: dict[str, Any]
    """What the run was started with; a resumed run keeps its own."""
    state: RunState
    reason: str | None = None
    """For what it waits."""
    error: str | None
    created_at: datetime
    ended_at: datetime | None
    steps: tuple[StepRecord, ...] = ()

    def result_of(self, step: str) -> dict[str, Any]:
        """Return the recorded result of a finished step; raises KeyError."""
        for record in self.steps:
            if record.name == step:
                return record.result
        raise KeyError(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step gets: the home, who runs it, the inputs, and the results of the steps before."""

    home: Home
    actor: Actor
    run_id: str
    inputs: dict[str, Any]
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _text: None
    """Shows a line to whoever watches."""
    cancelled: Callable[[], bool] = lambda: False
    """Whether somebody wants it to stop."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the process is about to end; the step is then done again by the next one."""
    patient: bool = True
    """Whether a step may sit out a wait for room on the machine; else it raises NoRoom and is done again later."""

    def halted(self) -> bool:
        """Whether to leave off, for either reason."""
        return self.cancelled() or self.stopping()


Step = Callable[[StepContext], dict[str, Any]]
"""Does one step; returns a JSON object. It must be safe to run again when it was interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Named steps, run in order."""

    name: str
    steps: tuple[tuple[str, Step], ...]
