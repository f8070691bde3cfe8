"""Two runs on the samples they share: paired differences, intervals and tests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penstock.core.statistics import (
    Interval,
    PairedTable,
    bootstrap_interval,
    clustered_interval,
    clustered_standard_error,
    clustered_t,
    holm,
    mcnemar_exact,
    mean_detectable_effect,
    minimum_detectable_effect,
    paired_permutation,
    paired_t,
    t_interval,
    tango_interval,
)
from penstock.core.statistics.bootstrap import Floats, OfSums
from penstock.evals.aggregate import CORPUS_RESAMPLES, corpus_statistic, finite, measure_of
from penstock.evals.model import Comparison, Difference, LeftOut, Measure, MetricKind, SampleResult
from penstock.evals.ports import CorpusScorer, Scorer

Pair = tuple[SampleResult, SampleResult]

SHOWN_IDS = 50
"""At most so many ids of each kind of sample that was not compared are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How differences are tested."""

    clusters: Mapping[str, str] | None = None
    """Sample id → cluster: samples of one cluster may move together, one without any is alone. Corpus metrics do not
    know clusters.
    """
    student: bool = False
    """Student's paired test for means in place of the permutation test and the bootstrap."""
    seed: int = 0


def compare_results(
    baseline: tuple[str, Sequence[SampleResult]],
    candidate: tuple[str, Sequence[SampleResult]],
    scorers: Sequence[Scorer],
    *,
    method: Method | None = None,
) -> Comparison:
    """Return the comparison of two runs given as (run id, results); `scorers` are those that both used.

    Samples pair by id when their content is the same and neither side failed. p-values are corrected by
    Holm's method over the metrics of each split; the worst regression comes first.
    """
    method = method or Method()
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
        differences += _corrected(_differences(split, members, scorers, method))
    return Comparison(
        baseline_id=baseline[0],
        candidate_id=candidate[0],
        shared=len(shared),
        only_baseline=len(first) - len(shared),
        only_candidate=len(second) - len(shared),
        changed=len(shared) - len(same),
        failed=len(same) - len(pairs),
        left_out=_left_out(first, second),
        differences=tuple(sorted(differences, key=Difference.regression_order)),
    )


def _left_out(first: Mapping[str, SampleResult], second: Mapping[str, SampleResult]) -> LeftOut:
    both = sorted(first.keys() & second.keys())
    changed = [key for key in both if first[key].content_hash != second[key].content_hash]
    failed = [
        key
        for key in both
        if first[key].content_hash == second[key].content_hash
        and (first[key].output.error is not None or second[key].output.error is not None)
    ]
    alone = sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())
    return LeftOut(*(tuple(keys[:SHOWN_IDS]) for keys in (*alone, changed, failed)))


def _differences(
    split: str, pairs: Sequence[Pair], scorers: Sequence[Scorer], method: Method
) -> list[Difference]:
    found = []
    # A run may have metrics of further scorers, which the other run did not use.
    names = sorted({name for _, second in pairs for name in second.scores})
    shared = [name for name in names if any(scorer.measure(name) is not None for scorer in scorers)]
    for name in shared:
        usable = [(a, b) for a, b in pairs if name in a.scores and name in b.scores]
        if usable:
            found.append(_of_scores(name, split, measure_of(scorers, name), usable, method))
    for scorer in scorers:
        if isinstance(scorer, CorpusScorer):
            found += _of_corpus(split, scorer, pairs, method.seed)
    return found


def _difference(
    name: str,
    split: str,
    measure: Measure,
    sides: tuple[float, float],
    tested: "_Tested",
) -> Difference:
    interval = tested.interval
    return Difference(
        name=name,
        split=split,
        baseline=sides[0],
        candidate=sides[1],
        difference=float(interval.value),
        low=finite(interval.low),
        high=finite(interval.high),
        n=interval.n,
        p_value=tested.p_value,
        p_adjusted=tested.p_value,
        test=tested.test,
        interval=interval.method,
        higher_is_better=measure.higher_is_better,
        unit=measure.unit,
        kind=measure.kind,
        detectable=tested.detectable,
        discordant=tested.discordant,
        sd=tested.sd,
        clusters=tested.clusters,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tested:
    """An interval with the test that belongs to it."""

    interval: Interval
    p_value: float
    test: str
    discordant: float | None = None
    sd: float | None = None
    clusters: int | None = None

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that would be shown with 80 % power."""
        if self.discordant is not None:
            return minimum_detectable_effect(self.discordant, self.interval.n)
        n = self.interval.n if self.clusters is None else self.clusters
        return finite(mean_detectable_effect(self.sd, n)) if self.sd else None


def _of_scores(name: str, split: str, measure: Measure, pairs: Sequence[Pair], method: Method) -> Difference:
    first, second = ([pair[side].scores[name] for pair in pairs] for side in (0, 1))
    if method.clusters is not None:
        tested = _clustered(first, second, [method.clusters.get(a.sample_id, a.sample_id) for a, _ in pairs])
    elif measure.kind is MetricKind.PROPORTION:
        tested = _proportions(first, second)
    else:
        tested = _means(first, second, method)
    sides = (float(np.mean(first)), float(np.mean(second)))
    return _difference(name, split, measure, sides, tested)


def _proportions(first: list[float], second: list[float]) -> _Tested:
    table = PairedTable.of(first, second)
    return _Tested(
        interval=tango_interval(table),
        p_value=mcnemar_exact(table.gained, table.lost),
        test="mcnemar_exact",
        discordant=(table.gained + table.lost) / table.n,
    )


def _means(first: list[float], second: list[float], method: Method) -> _Tested:
    change = np.subtract(second, first)
    if method.student:
        interval, p_value = t_interval(change), paired_t(first, second)
    else:
        interval = bootstrap_interval(change, seed=method.seed)
        p_value = paired_permutation(first, second, seed=method.seed)
    return _Tested(
        interval=interval,
        p_value=p_value,
        test="paired_t" if method.student else "paired_permutation",
        sd=float(change.std(ddof=1)) if len(first) > 1 else None,
    )


def _clustered(first: list[float], second: list[float], clusters: list[str]) -> _Tested:
    change = np.subtract(second, first)
    interval, count = clustered_interval(change, clusters), len(set(clusters))
    error = clustered_standard_error(change, clusters)
    return _Tested(
        interval=interval,
        p_value=clustered_t(change, clusters),
        test="clustered_t",
        sd=error * math.sqrt(count) if count > 1 else None,
        clusters=count,
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
            tested = _Tested(interval=interval, p_value=p_value, test="approximate_randomisation")
            found.append(_difference(name, split, measure, sides, tested))
    return found


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    adjusted = holm([difference.p_value for difference in differences])
    return [replace(difference, p_adjusted=p) for difference, p in zip(differences, adjusted, strict=True)]


def corrected_together(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return the comparisons of several candidates with Holm's correction over all their metrics, per split."""
    all_of: dict[str, list[Difference]] = {}
    for comparison in comparisons:
        for difference in comparison.differences:
            all_of.setdefault(difference.split, []).append(difference)
    adjusted = {
        id(difference): made.p_adjusted
        for members in all_of.values()
        for difference, made in zip(members, _corrected(members), strict=True)
    }
    together = []
    for comparison in comparisons:
        changed = [replace(d, p_adjusted=adjusted[id(d)]) for d in comparison.differences]
        together.append(
            replace(comparison, differences=tuple(sorted(changed, key=Difference.regression_order)))
        )
    return tuple(together)
