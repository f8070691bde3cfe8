"""Two runs on the samples they share: paired differences, intervals and tests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from penstock.evals.aggregate import CORPUS_RESAMPLES, corpus_statistic, finite, measure_of
from penstock.evals.model import Comparison, Difference, Measure, MetricKind, SampleResult
from penstock.evals.ports import CorpusScorer, Scorer
from penstock.evals.statistics import (
    Interval,
    PairedTable,
    bootstrap_interval,
    holm,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_permutation,
    tango_interval,
)
from penstock.evals.statistics.bootstrap import Floats, OfSums

Pair = tuple[SampleResult, SampleResult]

_TESTS = {
    MetricKind.PROPORTION: "mcnemar_exact",
    MetricKind.MEAN: "paired_permutation",
    MetricKind.DISTRIBUTION: "paired_permutation",
    MetricKind.CORPUS: "approximate_randomisation",
}


def compare_results(
    baseline: tuple[str, Sequence[SampleResult]],
    candidate: tuple[str, Sequence[SampleResult]],
    scorers: Sequence[Scorer],
    *,
    seed: int = 0,
) -> Comparison:
    """Return the comparison of two runs given as (run id, results); `scorers` are those that both used.

    Samples pair by id when their content is the same and neither side failed. p-values are corrected by
    Holm's method over the metrics of each split.
    """
    first = {result.sample_id: result for result in baseline[1]}
    second = {result.sample_id: result for result in candidate[1]}
    shared = [(first[key], second[key]) for key in sorted(first.keys() & second.keys())]
    same = [pair for pair in shared if pair[0].content_hash == pair[1].content_hash]
    pairs = [pair for pair in same if pair[0].output.error is None and pair[1].output.error is None]
    groups: dict[str, list[Pair]] = {"": pairs}
    splits = sorted({pair[1].split for pair in pairs})
    if len(splits) > 1:
        groups |= {split: [p for p in pairs if p[1].split == split] for split in splits}
    differences: list[Difference] = []
    for split, members in groups.items():
        differences += _corrected(_differences(split, members, scorers, seed))
    return Comparison(
        baseline_id=baseline[0],
        candidate_id=candidate[0],
        shared=len(shared),
        only_baseline=len(first) - len(shared),
        only_candidate=len(second) - len(shared),
        changed=len(shared) - len(same),
        failed=len(same) - len(pairs),
        differences=tuple(differences),
    )


def _differences(split: str, pairs: Sequence[Pair], scorers: Sequence[Scorer], seed: int) -> list[Difference]:
    found = []
    # A run may have metrics of further scorers, which the other run did not use.
    names = sorted({name for _, second in pairs for name in second.scores})
    shared = [name for name in names if any(scorer.measure(name) is not None for scorer in scorers)]
    for name in shared:
        measure = measure_of(scorers, name)
        values = [(a.scores[name], b.scores[name]) for a, b in pairs if name in a.scores and name in b.scores]
        if values:
            first, second = (list(side) for side in zip(*values, strict=True))
            build = _of_proportion if measure.kind is MetricKind.PROPORTION else _of_mean
            found.append(build(name, split, measure, first, second, seed))
    for scorer in scorers:
        if isinstance(scorer, CorpusScorer):
            found += _of_corpus(split, scorer, pairs, seed)
    return found


def _difference(
    name: str, split: str, measure: Measure, sides: tuple[float, float], interval: Interval, p_value: float
) -> Difference:
    return Difference(
        name=name,
        split=split,
        baseline=sides[0],
        candidate=sides[1],
        difference=float(interval.value),
        low=finite(interval.low),
        high=finite(interval.high),
        n=interval.n,
        p_value=p_value,
        p_adjusted=p_value,
        test=_TESTS[measure.kind],
        interval=interval.method,
        higher_is_better=measure.higher_is_better,
        unit=measure.unit,
        kind=measure.kind,
    )


def _of_proportion(
    name: str, split: str, measure: Measure, first: list[float], second: list[float], _seed: int
) -> Difference:
    table = PairedTable.of(first, second)
    p_value = mcnemar_exact(table.gained, table.lost)
    sides = (sum(first) / table.n, sum(second) / table.n)
    made = _difference(name, split, measure, sides, tango_interval(table), p_value)
    discordant = (table.gained + table.lost) / table.n
    return replace(made, detectable=minimum_detectable_effect(discordant, table.n))


def _of_mean(
    name: str, split: str, measure: Measure, first: list[float], second: list[float], seed: int
) -> Difference:
    interval = bootstrap_interval(np.subtract(second, first), seed=seed)
    p_value = paired_permutation(first, second, seed=seed)
    return _difference(
        name, split, measure, (float(np.mean(first)), float(np.mean(second))), interval, p_value
    )


def _gap(statistic: OfSums, width: int) -> OfSums:
    """Return candidate's minus baseline's statistic of rows that hold both sides' columns next to each other."""

    def gap(sums: Floats) -> float:
        n = sums[-1:]
        return statistic(np.concatenate([sums[width:-1], n])) - statistic(np.concatenate([sums[:width], n]))

    return gap


def _of_corpus(split: str, scorer: CorpusScorer, pairs: Sequence[Pair], seed: int) -> list[Difference]:
    key = scorer.name
    usable = [(a.sums[key], b.sums[key]) for a, b in pairs if key in a.sums and key in b.sums]
    if not usable:
        return []
    first, second = (np.array(side, dtype=np.float64) for side in zip(*usable, strict=True))
    found = []
    for name, value in scorer.corpus(list(second.sum(axis=0))).items():
        statistic = corpus_statistic(scorer, name)
        interval = bootstrap_interval(
            np.hstack([first, second]),
            statistic=_gap(statistic, first.shape[1]),
            method="percentile",
            resamples=CORPUS_RESAMPLES,
            seed=seed,
        )
        p_value = paired_permutation(
            first, second, statistic=statistic, resamples=CORPUS_RESAMPLES, seed=seed
        )
        measure = scorer.measure(name)
        if measure is not None:
            sides = (scorer.corpus(list(first.sum(axis=0)))[name], value)
            found.append(_difference(name, split, measure, sides, interval, p_value))
    return found


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    adjusted = holm([difference.p_value for difference in differences])
    return [replace(difference, p_adjusted=p) for difference, p in zip(differences, adjusted, strict=True)]
