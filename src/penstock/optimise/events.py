"""What other slices may learn about optimisations."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimisationEnded(Event):
    """An optimisation came to its end."""

    name: ClassVar[str] = "optimise.ended"
    optimisation_id: str
    parent: str
    state: str
    chosen: str | None
