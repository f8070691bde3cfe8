"""Events of training."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """A training run ended: succeeded, failed or cancelled."""

    name: ClassVar[str] = "training.run_ended"
    run_id: str
    state: str
    model: str | None
