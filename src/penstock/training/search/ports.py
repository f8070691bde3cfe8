"""What a searcher plug-in does. One object serves one search; the service calls it under a lock."""

from pathlib import Path
from typing import Protocol

from penstock.training.search.model import Plan, Trial


class Searcher(Protocol):
    """Proposes parameters and learns from results; what it knows is in `folder` and survives the process."""

    def ask(self) -> Trial | None:
        """Return a new trial, or None when nothing is left to try."""

    def unfinished(self) -> list[Trial]:
        """Return trials that were asked for and never told: a killed search goes on with them."""

    def report(self, number: int, step: int, value: float) -> bool:
        """Hear a figure of a running trial; returns whether to give the trial up."""

    def tell(self, trial: Trial) -> None:
        """Hear how a trial ended."""

    def pareto(self) -> list[int]:
        """Return the numbers of the trials that no other beats."""

    def importance(self) -> dict[str, dict[str, float]]:
        """Return objective → parameter → share; empty while there are too few trials."""


class SearcherFactory(Protocol):
    """The plug-in itself."""

    def __call__(self, plan: Plan, folder: Path) -> Searcher:
        """Return the searcher of a plan; raises Invalid for a sampler, pruner or space that it cannot do."""
