"""Nouns of training."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """Where a training run is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One run of a recipe and what came of it."""

    id: str
    name: str
    """Name of the model that the result is a version of."""
    method: str
    recipe: dict[str, Any]
    """The whole recipe, defaults included, with pinned references."""
    base: str
    """`name@number` of the model it started from."""
    dataset: str
    """`name@number` of the dataset version."""
    key: str | None
    """Starting again with the same key returns this run."""
    state: RunState
    job_id: str | None
    progress: dict[str, Any]
    """The newest report: stage, step, steps, loss, learning_rate, tokens_per_second, eta_seconds …"""
    examples: list[dict[str, str]]
    """First rows as the model saw them: `context` and what was `trained` (dpo adds `rejected`)."""
    metrics: dict[str, float]
    """Figures of the last logged step, rows, steps, seconds."""
    model: str | None
    """`name@number` of the registered result."""
    error: str | None
    author: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """What was logged at one step."""

    step: int
    values: dict[str, float]
    at: datetime
