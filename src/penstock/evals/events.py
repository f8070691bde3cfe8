"""Facts that evaluations publish."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """An evaluation ended."""

    name: ClassVar[str] = "evals.run_finished"

    run_id: str
    suite: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecided(Event):
    """A gate let a run pass or refused it."""

    name: ClassVar[str] = "evals.gate_decided"

    gate_id: str
    run_id: str
    passed: bool
