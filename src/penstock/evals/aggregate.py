"""From per-sample scores to figures with intervals."""

import math
from collections.abc import Sequence

import numpy as np

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, Metric, MetricKind, SampleResult
from penstock.evals.ports import CorpusScorer, Scorer
from penstock.evals.statistics import Interval, bootstrap_interval, quantile_interval, wilson
from penstock.evals.statistics.bootstrap import Floats, OfSums

PERCENTILES = (50, 95, 99)
CORPUS_RESAMPLES = 1000
ERROR_RATE = "error_rate"
_ERRORS = Measure(kind=MetricKind.PROPORTION, higher_is_better=False)


def finite(value: float) -> float | None:
    """Return `value`, or None when it does not bound anything."""
    return float(value) if math.isfinite(value) else None


def corpus_statistic(scorer: CorpusScorer, metric: str) -> OfSums:
    """Return the scorer's corpus metric as a function of column sums with the row count last."""

    def statistic(sums: Floats) -> float:
        return scorer.corpus([float(value) for value in sums[:-1]])[metric]

    return statistic


def _metric(name: str, split: str, interval: Interval, measure: Measure) -> Metric:
    return Metric(
        name=name,
        split=split,
        value=float(interval.value),
        low=finite(interval.low),
        high=finite(interval.high),
        n=interval.n,
        method=interval.method,
        kind=measure.kind,
        higher_is_better=measure.higher_is_better,
        unit=measure.unit,
    )


def _of_values(name: str, split: str, values: Sequence[float], measure: Measure, seed: int) -> list[Metric]:
    if measure.kind is MetricKind.PROPORTION:
        return [_metric(name, split, wilson(int(sum(values)), len(values)), measure)]
    metrics = [_metric(name, split, bootstrap_interval(values, seed=seed), measure)]
    if measure.kind is MetricKind.DISTRIBUTION:
        for percent in PERCENTILES:
            interval = quantile_interval(values, percent / 100)
            metrics.append(_metric(f"{name}.p{percent}", split, interval, measure))
    return metrics


def measure_of(scorers: Sequence[Scorer], metric: str) -> Measure:
    """Return how to read `metric`, from the scorer that knows it; raises Invalid when none does."""
    for scorer in scorers:
        measure = scorer.measure(metric)
        if measure is not None:
            return measure
    raise Invalid(f"No scorer of this run knows the metric {metric!r}.")


def measures_of(scorers: Sequence[Scorer], results: Sequence[SampleResult]) -> dict[str, Measure]:
    """Return metric name → measure for every per-sample metric in `results`, by name."""
    names = sorted({name for result in results for name in result.scores})
    return {name: measure_of(scorers, name) for name in names}


def summarise(
    scorers: Sequence[Scorer], results: Sequence[SampleResult], *, seed: int = 0
) -> tuple[Metric, ...]:
    """Return all metrics over all results, and per split when there is more than one, with 95 % intervals.

    Samples on which the target failed carry no scores; they count in `error_rate` only.
    """
    groups: dict[str, list[SampleResult]] = {"": list(results)}
    splits = sorted({result.split for result in results})
    if len(splits) > 1:
        groups |= {split: [r for r in results if r.split == split] for split in splits}
    metrics: list[Metric] = []
    for split, members in groups.items():
        metrics += _group(scorers, split, members, seed)
    return tuple(metrics)


def _group(scorers: Sequence[Scorer], split: str, results: Sequence[SampleResult], seed: int) -> list[Metric]:
    if not results:
        return []
    failures = [float(result.output.error is not None) for result in results]
    metrics = _of_values(ERROR_RATE, split, failures, _ERRORS, seed)
    for name, measure in measures_of(scorers, results).items():
        values = [result.scores[name] for result in results if name in result.scores]
        metrics += _of_values(name, split, values, measure, seed)
    for scorer in scorers:
        if isinstance(scorer, CorpusScorer):
            metrics += _of_corpus(scorer, split, results, seed)
    return metrics


def corpus_rows(scorer: CorpusScorer, results: Sequence[SampleResult]) -> list[tuple[float, ...]]:
    """Return the stored sums of `scorer` for the results that have them."""
    return [tuple(result.sums[scorer.name]) for result in results if scorer.name in result.sums]


def _of_corpus(scorer: CorpusScorer, split: str, results: Sequence[SampleResult], seed: int) -> list[Metric]:
    rows = corpus_rows(scorer, results)
    if not rows:
        return []
    metrics = []
    for name in scorer.corpus([float(value) for value in np.sum(rows, axis=0)]):
        statistic = corpus_statistic(scorer, name)
        interval = bootstrap_interval(
            rows, statistic=statistic, method="percentile", resamples=CORPUS_RESAMPLES, seed=seed
        )
        metrics.append(_metric(name, split, interval, measure_of([scorer], name)))
    return metrics
