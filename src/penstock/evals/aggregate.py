"""From per-sample scores to figures with intervals."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from penstock.core.errors import Invalid
from penstock.core.statistics import Interval, bootstrap_interval, bootstrap_means, quantile_interval, wilson
from penstock.core.statistics.bootstrap import Floats, OfSums
from penstock.evals.model import Measure, Metric, MetricKind, SampleResult
from penstock.evals.ports import CorpusScorer, Scorer

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


def _intervals(
    columns: Mapping[str, Sequence[float]], measures: Mapping[str, Measure], seed: int
) -> dict[str, Interval]:
    """Return metric name → interval; means over equally many samples are bootstrapped together."""
    found: dict[str, Interval] = {}
    together: dict[int, list[str]] = {}
    for name, values in columns.items():
        if measures[name].kind is MetricKind.PROPORTION:
            found[name] = wilson(int(sum(values)), len(values))
        else:
            together.setdefault(len(values), []).append(name)
    for names in together.values():
        intervals = bootstrap_means([columns[name] for name in names], seed=seed)
        found |= dict(zip(names, intervals, strict=True))
    return found


def _of_values(
    split: str, columns: Mapping[str, Sequence[float]], measures: Mapping[str, Measure], seed: int
) -> list[Metric]:
    metrics = []
    intervals = _intervals(columns, measures, seed)
    for name, values in columns.items():
        metrics.append(_metric(name, split, intervals[name], measures[name]))
        if measures[name].kind is MetricKind.DISTRIBUTION:
            for percent in PERCENTILES:
                interval = quantile_interval(values, percent / 100)
                metrics.append(_metric(f"{name}.p{percent}", split, interval, measures[name]))
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
    measures = measures_of(scorers, results)
    columns = {
        name: [result.scores[name] for result in results if name in result.scores] for name in measures
    }
    metrics = _of_values(split, {ERROR_RATE: failures}, {ERROR_RATE: _ERRORS}, seed)
    metrics += _of_values(split, columns, measures, seed)
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
