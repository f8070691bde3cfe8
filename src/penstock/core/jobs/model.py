"""Nouns of durable work."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from penstock.core.scope import Actor

if TYPE_CHECKING:
    from penstock.core.home import Home

T = TypeVar("T")


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work and what became of it."""

    id: str
    kind: str
    key: str | None
    """Jobs of one kind and key exist once per project: enqueueing again returns the first."""
    spec: dict[str, Any]
    actor: Actor
    state: JobState
    attempts: int
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    priority: int = 0
    """Of jobs that are due, workers take the highest first, and of equals the oldest."""


class Postponed(Exception):
    """Raised by a handler that cannot go on here or now: the job waits for a worker again, at no attempt.

    `seconds` is how long it waits at least.
    """

    def __init__(self, message: str, *, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class JobContext(Protocol):
    """What a handler gets."""

    @property
    def home(self) -> "Home":
        """The home the job belongs to."""

    @property
    def actor(self) -> Actor:
        """On whose behalf the job runs."""

    @property
    def job(self) -> Job:
        """The job as it was when this attempt began."""

    @property
    def spec(self) -> dict[str, Any]:
        """The job's parameters."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Return `work()`'s JSON result; once it was recorded, later attempts get it without running `work`."""

    def progress(self, report: dict[str, Any]) -> None:
        """Show `report` to whoever watches; written at most about twice a second."""

    def cancelled(self) -> bool:
        """Whether somebody asked to cancel; looks at the database at most about twice a second."""

    def stopping(self) -> bool:
        """Whether the process is about to end: a handler that takes long should raise Postponed then."""

    def check_cancelled(self) -> None:
        """Raise Cancelled when somebody asked to cancel."""


Handler = Callable[[JobContext], dict[str, Any]]
"""Does the job; returns a JSON object. Raising fails the job; being killed lets another worker go on."""
