"""What the sums of a release say: means, comparisons with the control, and whether the split worked. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from penstock.core.deferred import deferred
from penstock.release import sums as tables
from penstock.release.metrics import possible
from penstock.release.model import (
    ArmMetric,
    ArmReport,
    Comparison,
    Kind,
    Metric,
    Phase,
    Plan,
    RatioCheck,
    Report,
)
from penstock.release.sums import CALLS, CALLS_SQUARED, HITS, SUM, UNITS, Sums

if TYPE_CHECKING:
    from penstock.core.statistics import sample_ratio, sequential, split_share
    from penstock.core.statistics.sequential import Estimate
else:
    # Every process of a server knows releases; only the one that judges them needs numpy, which these come with.
    sample_ratio = deferred("penstock.core.statistics.sample_ratio")
    sequential = deferred("penstock.core.statistics.sequential")
    split_share = deferred("penstock.core.statistics.split_share")

MIN_UNITS = 50
"""Units per arm before a mean's normal approximation counts; the exact test of failures needs none."""
CALLS_COUNTED = "calls"
"""Kept beside the metrics: every call, whatever it says."""
PAIRED = "pair:"
"""How the names of a shadow's differences to the calls it copied begin, beside its own values."""
RATIO_ALPHA = 0.001
"""Chance that a split that works is called broken, in the whole release."""


def variance(own: Sums, others: Sums, *, binary: bool) -> float:
    """Return the squared standard error of `own`'s mean, the largest of what can be defended.

    Its own cluster-robust one; the one that both sides have together, since under "no difference" they are alike and a
    small arm's own is too small while it has been lucky; and for shares, the one after a success and a failure more.
    """
    calls = own[CALLS]
    mean, common = own[SUM] / calls, (own[SUM] + others[SUM]) / (calls + others[CALLS])
    units = max(2.0, own[UNITS])
    found = tables.residual(own, mean) * units / (units - 1)
    both = tables.residual(own, common) + tables.residual(others, common)
    squared = own[CALLS_SQUARED] + others[CALLS_SQUARED]
    found = max(found, both / squared * own[CALLS_SQUARED])
    if binary:
        smooth = (own[SUM] + others[SUM] + 1) / (calls + others[CALLS] + 2)
        found = max(found, smooth * (1 - smooth) * calls)
    return found / (calls * calls)


def contrast(metric: Metric, arm: Sums, control: Sums) -> "Estimate | None":
    """Return arm minus control (of relative metrics the log of their ratio); None while too little is known."""
    if min(arm[UNITS], control[UNITS]) < MIN_UNITS:
        return None
    ours, theirs = arm[SUM] / arm[CALLS], control[SUM] / control[CALLS]
    error = variance(arm, control, binary=metric.binary)
    other_error = variance(control, arm, binary=metric.binary)
    if not metric.relative:
        return sequential.Estimate.of(ours - theirs, error + other_error) if error + other_error > 0 else None
    if ours <= 0 or theirs <= 0:
        return None
    spread = error / ours**2 + other_error / theirs**2
    return sequential.Estimate.of(math.log(ours / theirs), spread) if spread > 0 else None


def paired(differences: Sums) -> "Estimate | None":
    """Return the mean of a shadow's differences to the calls it copied."""
    if differences[UNITS] < MIN_UNITS:
        return None
    error = variance(differences, tables.NOTHING, binary=False)
    return sequential.Estimate.of(differences[SUM] / differences[CALLS], error) if error > 0 else None


def margin_of(metric: Metric) -> float:
    """Return the harm on the scale that is compared on."""
    return math.log1p(metric.harm) if metric.relative else metric.harm


def compare(plan: Plan, phases: Sequence[Phase], arm: str, metric: Metric) -> Comparison | None:
    """Return an arm against the control over all phases; None while nothing can be said."""
    shadow = plan.kind is Kind.SHADOW
    if shadow:
        parts = [paired(tables.of(phase.sums, arm, PAIRED + metric.name)) for phase in phases]
    else:
        parts = [
            contrast(metric, *(tables.of(phase.sums, name, metric.name) for name in (arm, plan.control)))
            for phase in phases
        ]
    found = _once(sequential.pooled([part for part in parts if part is not None]), plan, phases, arm)
    excess = _excess(plan, phases, arm, metric) if metric.binary and not shadow else None
    if found is None and not excess:
        return None
    level = plan.level / 2 if excess is not None else plan.level
    margin = margin_of(metric)
    if found is None:
        value, low, high, evidence = 0.0, -math.inf, math.inf, 0.0
    else:
        value, evidence = found.value, sequential.log_evidence(found, margin)
        low, high = sequential.interval(found, margin, level)
        if metric.binary:  # a difference of shares; the margins that verdicts go by lie within
            low, high = max(-1.0, low), min(1.0, high)
    return Comparison(
        arm=arm,
        metric=metric.name,
        difference=_shown(metric, value),
        low=_shown(metric, low),
        high=_shown(metric, high),
        relative=metric.relative,
        evidence=evidence,
        excess=excess,
        harm=metric.harm,
        verdict=_verdict(metric, low, high, excess=excess is not None and excess >= -math.log(level)),
    )


def _once(found: "Estimate | None", plan: Plan, phases: Sequence[Phase], arm: str) -> "Estimate | None":
    """Return a pooled estimate that knows no more than its people do.

    Whoever is in several phases brings himself along: as if his calls were all alike, he is counted in one of them.
    """
    names = (arm, plan.control)
    fresh = sum(phase.units.get(name, 0) for phase in phases for name in names)
    again = sum(phase.again.get(name, 0) for phase in phases for name in names)
    if found is None or not again:
        return found
    return sequential.Estimate(value=found.value, information=found.information * fresh / (fresh + again))


def _shown(metric: Metric, value: float) -> float:
    return math.expm1(min(value, 700.0)) if metric.relative else value


def _verdict(metric: Metric, low: float, high: float, *, excess: bool) -> str:
    """Return what an interval says. A loss that is shown to be smaller than the harm that matters is none."""
    if metric.direction == "up":
        low, high = -high, -low
    if high < 0:
        return "better"
    if high < margin_of(metric):
        return "safe"
    return "harmful" if low > 0 or excess else "open"


def _excess(plan: Plan, phases: Sequence[Phase], arm: str, metric: Metric) -> float:
    """Return ln E that more units of the arm than its share had at least one hit; 0 before anybody had."""
    total = 0.0
    for phase in phases:
        ours, theirs = (phase.shares.get(name, 0.0) for name in (arm, plan.control))
        hits = [tables.of(phase.sums, name, metric.name)[HITS] for name in (arm, plan.control)]
        if ours > 0 and theirs > 0 and any(hits):
            total += split_share.log_excess_evidence(round(hits[0]), round(hits[1]), ours / (ours + theirs))
    return total


def check_ratio(plan: Plan, phases: Sequence[Phase]) -> RatioCheck:
    """Return whether the arms got their shares of the units; of a shadow there is nothing to check."""
    names = [arm.name for arm in plan.arms]
    counts = {name: sum(phase.units.get(name, 0) for phase in phases) for name in names}
    expected, evidence = dict.fromkeys(names, 0.0), 0.0
    if plan.kind is not Kind.SHADOW:
        for phase in phases:
            shares = [phase.shares.get(name, 0.0) for name in names]
            seen = [phase.units.get(name, 0) for name in names]
            evidence += sample_ratio.log_mismatch_evidence(seen, shares)
            for name, share in zip(names, shares, strict=True):
                expected[name] += share / sum(shares) * sum(seen)
    return RatioCheck(
        ok=evidence < -math.log(RATIO_ALPHA), evidence=evidence, counts=counts, expected=expected
    )


def report(plan: Plan, phases: Sequence[Phase], shares: Mapping[str, float]) -> Report:
    """Return everything that can be said now."""
    comparisons = [
        found
        for arm in plan.challengers
        for metric in plan.metrics
        if (found := compare(plan, phases, arm, metric)) is not None
    ]
    arms = tuple(_arm(plan, phases, arm.name, shares.get(arm.name, 0.0)) for arm in plan.arms)
    return Report(arms=arms, comparisons=tuple(comparisons), ratio=check_ratio(plan, phases))


def totals(phases: Sequence[Phase], arm: str, metric: str) -> Sums:
    """Return the sums of an arm and metric over all phases."""
    return tables.together(tables.of(phase.sums, arm, metric) for phase in phases)


def _arm(plan: Plan, phases: Sequence[Phase], name: str, share: float) -> ArmReport:
    found: dict[str, ArmMetric] = {}
    for metric in plan.metrics:
        sums = totals(phases, name, metric.name)
        if sums[UNITS] < 2:
            continue
        mean = sums[SUM] / sums[CALLS]
        error = variance(sums, tables.NOTHING, binary=metric.binary)
        spread = metric.harm * (abs(mean) if metric.relative and mean else 1.0)
        half = sequential.half_width(1 / error, spread, plan.level) if error > 0 else 0.0
        # An always-valid interval cut to what the figure can be is one still.
        least, most = possible(metric)
        low, high = max(least, mean - half), min(most, mean + half)
        found[metric.name] = ArmMetric(mean=mean, low=low, high=high, n=round(sums[CALLS]))
    calls = sum(round(tables.of(phase.sums, name, CALLS_COUNTED)[CALLS]) for phase in phases)
    return ArmReport(name=name, weight=share, calls=calls, metrics=found)
