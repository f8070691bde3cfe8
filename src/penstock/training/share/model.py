"""Nouns of training's share of the machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.core.errors import Invalid, Unavailable
from penstock.core.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a run that goes on, or would like to, takes of the machine."""

    run_id: str
    scope: Scope
    priority: int
    memory_bytes: int
    """Memory limits of its processes together; 0: it has none, and is not counted."""
    since: datetime
    processes: int = 1
    gpus: int | None = 0
    """GPUs it wants to itself; None: one for each process, where the machine has any."""
    held: tuple[int, ...] | None = None
    """Numbers of the GPUs it was given and keeps until it stops; None: none were shared out to it."""

    def needed(self, there_are: int) -> int:
        """Return the GPUs it needs on a machine that has so many."""
        if self.gpus is None:
            return self.processes if there_are else 0
        return self.gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingQuota:
    """How many runs of one project may go on at once; None: no limit. Memory and GPUs count in the serving quota."""

    runs: int | None = None

    def __post_init__(self) -> None:
        if self.runs is not None and self.runs < 0:
            raise Invalid("A quota cannot be negative.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """All that training wants of the machine now, and the quotas of projects."""

    claims: Sequence[Claim]
    quotas: Mapping[Scope, TrainingQuota]


class NoRoom(Unavailable):
    """A run has to wait until the machine has room for it; the message says for what."""
