"""From several attempts at a sample to one figure for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.core.deferred import deferred
from penstock.evals.model import Attempt, Measure, MetricKind, Output, Sample
from penstock.evals.ports import Scorer
from penstock.evals.suite import Suite, check_reducer

if TYPE_CHECKING:
    from penstock.core import statistics
else:
    # It brings numpy, which only pass@k needs here.
    statistics = deferred("penstock.core.statistics")

Sums = dict[str, tuple[float, ...]]


def reduced_name(metric: str, reducer: str) -> str:
    """Return what a reduced metric is called: the mean keeps the metric's name."""
    return metric if reducer == "mean" else f"{metric}.{reducer}"


def _majority(values: Sequence[float]) -> float:
    """Return the most frequent value; among equally frequent ones the lowest, so that a tie never counts as success."""
    counted = Counter(values)
    most = max(counted.values())
    return min(value for value, count in counted.items() if count == most)


def _reduce(values: Sequence[float], reducer: str, k: int | None) -> float:
    if k is not None:
        return statistics.pass_at_k(len(values), sum(value == 1.0 for value in values), k)
    if reducer == "max":
        return max(values)
    return _majority(values) if reducer == "majority" else sum(values) / len(values)


class Reduction:
    """Reduces attempts by a suite's reducers, and reads the metrics that come of it (as a scorer's `measure` does)."""

    name = "epochs"

    def __init__(self, suite: Suite, scorers: Sequence[Scorer]) -> None:
        self._reducers = [(name, check_reducer(name, suite.epochs)) for name in suite.reducers]
        self._scorers = scorers

    def _base(self, metric: str) -> Measure | None:
        return next((found for one in self._scorers if (found := one.measure(metric)) is not None), None)

    def reduce(self, attempts: Sequence[Attempt]) -> tuple[dict[str, float], Sums]:
        """Return the scores and the corpus sums of a sample. pass@K is taken of metrics that are 0 or 1."""
        scores: dict[str, float] = {}
        for metric in {name: None for one in attempts for name in one.scores}:
            values = [one.scores[metric] for one in attempts if metric in one.scores]
            measure = self._base(metric)
            for reducer, k in self._reducers:
                binary = measure is not None and measure.kind is MetricKind.PROPORTION
                if k is None or (binary and k <= len(values)):
                    scores[reduced_name(metric, reducer)] = _reduce(values, reducer, k)
        return scores, _added([one.sums for one in attempts])

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: reducing is no scoring."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return how to read a reduced metric; a mean of what is 0 or 1 is no longer 0 or 1."""
        for reducer, k in self._reducers:
            name = metric if reducer == "mean" else metric.removesuffix(f".{reducer}")
            if reducer != "mean" and name == metric:
                continue
            measure = self._base(name)
            if measure is None:
                continue
            averaged = measure.kind is MetricKind.PROPORTION and (reducer == "mean" or k is not None)
            return replace(measure, kind=MetricKind.MEAN) if averaged else measure
        return None


def _added(sums: Sequence[Mapping[str, tuple[float, ...]]]) -> Sums:
    total: Sums = {}
    for one in sums:
        for name, values in one.items():
            before = total.get(name)
            total[name] = tuple(a + b for a, b in zip(before, values, strict=True)) if before else values
    return total


def measuring(scorers: Sequence[Scorer], suite: Suite) -> list[Scorer]:
    """Return the scorers that can read every metric of the suite's runs: of epochs, the reduction goes first."""
    return [*scorers] if suite.epochs == 1 else [Reduction(suite, scorers), *scorers]
