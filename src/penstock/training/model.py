"""Nouns of training."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.training.running import MAX_PRIORITY as MAX_PRIORITY
from penstock.training.share.model import Claim as Claim
from penstock.training.share.model import Claims as Claims
from penstock.training.share.model import NoRoom as NoRoom
from penstock.training.share.model import TrainingQuota as TrainingQuota


class RunState(StrEnum):
    """Where a training run is."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
UNDER_WAY = frozenset({RunState.QUEUED, RunState.RUNNING})
RESUMABLE = frozenset({RunState.PAUSED, RunState.FAILED, RunState.CANCELLED})
"""States from which a run can go on from its last checkpoint."""


class Wish(StrEnum):
    """What somebody asked of a run that goes on."""

    PAUSE = "pause"
    CANCEL = "cancel"


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
    """`name@number` of the model it started from; until the run has imported it, the place that the recipe names."""
    dataset: str
    """`name@number` of the dataset version."""
    key: str | None
    """Starting again with the same key returns this run."""
    state: RunState
    job_id: str | None
    progress: dict[str, Any]
    """The newest report: stage, step, steps, epoch, loss, tokens_per_second, eta_s, cost_usd, memory_bytes …"""
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
    environment: dict[str, Any] = field(default_factory=dict)
    """Versions, machine and thread settings of the training process."""
    inputs: list[dict[str, str]] = field(default_factory=list)
    """What went in: `kind`, `ref` and the content's `hash` of each."""
    weights_hash: str | None = None
    """SHA-256 over the result's weight files; the same recipe, versions and seed give the same on one machine's CPU."""
    note: str = ""
    """What people wrote about the run."""
    wish: Wish | None = None
    search: str | None = None
    """The search that the run is a trial of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArtifact:
    """A file that a run left."""

    path: str
    """`checkpoints/40/model.safetensors`, `child.log`."""
    kind: str
    """checkpoint or log."""
    step: int | None
    size: int
    sha256: str
    """Empty while the file is still only on the machine that trains."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """What was logged at one step."""

    step: int
    values: dict[str, float]
    at: datetime
