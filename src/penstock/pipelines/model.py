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

    RUNNING = "running"
    """Under way, or interrupted: running the pipeline again goes on with it."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """A step raised; running the pipeline again retries that step."""


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


Step = Callable[[StepContext], dict[str, Any]]
"""Does one step; returns a JSON object. It must be safe to run again when it was interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Named steps, run in order."""

    name: str
    steps: tuple[tuple[str, Step], ...]
