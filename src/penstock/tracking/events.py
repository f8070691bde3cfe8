"""What tracking tells other slices."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """A run finished, failed or was killed."""

    name: ClassVar[str] = "tracking.run_ended"
    run_id: str
    experiment_id: str
    status: str
