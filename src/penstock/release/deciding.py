"""What follows from the evidence: go on, hold, drop an arm, roll back, or choose. Pure."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.core.deferred import deferred
from penstock.release import judging
from penstock.release.model import Comparison, Kind, Metric, Phase, Plan, Release, Report, State, Verb
from penstock.release.sums import CALLS, NOTHING, SUM, UNITS

if TYPE_CHECKING:
    from penstock.core.statistics import best_arm
    from penstock.core.statistics.best_arm import Pulls
else:
    best_arm = deferred("penstock.core.statistics.best_arm")

REWEIGHT_SECONDS = 30.0
LEAST_SHARE = 0.02
"""What every arm of a bandit still gets, so that a bad beginning can be made good."""
_NOTABLE = 0.02
"""Changes of a bandit's shares that are worth a phase of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done."""

    verb: Verb
    reason: str
    arm: str = ""
    """The arm dropped, or chosen."""
    shares: Mapping[str, float] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    """What it rests on."""


def step_shares(plan: Plan, step: int) -> dict[str, float]:
    """Return the shares of a step (of A/B tests and bandits: the first ones)."""
    if plan.kind is Kind.SHADOW:
        return {plan.control: 1.0, plan.challengers[0]: plan.steps[0].weight}
    if plan.kind is Kind.CANARY:
        weight = plan.steps[step].weight
        return {plan.control: 1.0 - weight, plan.challengers[0]: weight}
    total = sum(arm.weight for arm in plan.arms)
    return {arm.name: arm.weight / total for arm in plan.arms}


def decide(release: Release, phases: Sequence[Phase], report: Report, *, seconds: float) -> Verdict:
    """Return what the evidence asks for; `seconds` is how long the step, or the shares, have lasted."""
    if not report.ratio.ok:
        return Verdict(
            verb=Verb.HOLD,
            reason="The arms do not get the shares they should: the split is broken, so nothing is concluded.",
        )
    harm = harm_in(release, report)
    if harm is not None:
        return harm
    if release.state is State.DECIDED:
        return Verdict(verb=Verb.HOLD, reason=f"{release.winner} waits for somebody to promote it.")
    if release.plan.kind in (Kind.CANARY, Kind.SHADOW):
        return _stepwise(release, phases, report, seconds)
    if release.plan.kind is Kind.AB:
        return _compared(release, report)
    return _bandit(release, phases, seconds)


def harm_in(release: Release, report: Report) -> Verdict | None:
    """Return what harm that is shown asks for; None while there is none."""
    plan = release.plan
    live = [name for name in plan.challengers if release.shares.get(name, 0.0) > 0]
    for each in report.comparisons:
        # A bandit chooses by its goal itself, and an arm that is worse in it just gets fewer calls.
        chooses = plan.kind is Kind.BANDIT and each.metric == plan.target.name
        if each.verdict != "harmful" or each.arm not in live or chooses:
            continue
        reason = f"{each.arm} is worse in {each.metric}: {_said(each)}."
        if len(live) == 1:
            return Verdict(verb=Verb.ROLL_BACK, reason=reason, arm=each.arm, comparisons=(each,))
        shares = without(release.shares, each.arm)
        return Verdict(verb=Verb.DROP, reason=reason, arm=each.arm, shares=shares, comparisons=(each,))
    return None


def without(shares: Mapping[str, float], arm: str) -> dict[str, float]:
    """Return the shares when an arm gets nothing more."""
    rest = sum(share for name, share in shares.items() if name != arm)
    return {name: 0.0 if name == arm else share / rest for name, share in shares.items()}


def _said(each: Comparison) -> str:
    if each.excess is not None and not each.low > 0:
        return "they fall on it far more often than its share of the calls"
    unit = "%" if each.relative else ""
    scale = 100 if each.relative else 1
    low, value, high = (f"{scale * part:+.4g}{unit}" for part in (each.low, each.difference, each.high))
    return f"{value} against the control, between {low} and {high}"


def _stepwise(release: Release, phases: Sequence[Phase], report: Report, seconds: float) -> Verdict:
    plan, new = release.plan, release.plan.challengers[0]
    step = plan.steps[release.step]
    calls = sum(
        round(phase.sums.get(new, {}).get(judging.CALLS_COUNTED, (0.0,) * 7)[CALLS])
        for phase in phases
        if phase.number == release.phase
    )
    if calls < step.min_calls or seconds < step.min_seconds:
        reason = (
            f"Step {release.step + 1} lasts at least {step.min_calls} calls and {step.min_seconds:g} seconds."
        )
        return Verdict(verb=Verb.HOLD, reason=reason)
    if plan.evidence == "proven":
        shown = {each.metric for each in report.comparisons if each.verdict in ("safe", "better")}
        missing = [metric.name for metric in plan.metrics if metric.name not in shown]
        if missing:
            reason = f"Not yet shown to be no worse in {', '.join(missing)}."
            return Verdict(verb=Verb.HOLD, reason=reason, comparisons=report.comparisons)
    done = f"No harm was shown in step {release.step + 1} of {len(plan.steps)}"
    if release.step + 1 < len(plan.steps):
        shares = step_shares(plan, release.step + 1)
        reason = f"{done}; {new} gets {shares[new]:.0%}."
        return Verdict(verb=Verb.GO_ON, reason=reason, shares=shares, comparisons=report.comparisons)
    return Verdict(verb=Verb.DECIDE, reason=f"{done}, the last.", arm=new, comparisons=report.comparisons)


def _compared(release: Release, report: Report) -> Verdict:
    plan = release.plan
    about = {each.arm: each for each in report.comparisons if each.metric == plan.target.name}
    live = [name for name in plan.challengers if release.shares.get(name, 0.0) > 0]
    better = [about[name] for name in live if name in about and about[name].verdict == "better"]
    if better:
        sign = 1 if plan.target.direction == "up" else -1
        best = max(better, key=lambda each: sign * each.difference)
        reason = f"{best.arm} is better in {best.metric}: {_said(best)}."
        return Verdict(verb=Verb.DECIDE, reason=reason, arm=best.arm, comparisons=(best,))
    if live and all(name in about and _alike(about[name], plan.target) for name in live):
        return Verdict(
            verb=Verb.DECIDE,
            reason=f"No arm differs from the control in {plan.target.name} by as much as {plan.target.harm:g}.",
            arm=plan.control,
            comparisons=tuple(about.values()),
        )
    return Verdict(verb=Verb.HOLD, reason=f"No difference in {plan.target.name} is shown yet.")


def _alike(each: Comparison, metric: Metric) -> bool:
    return max(abs(each.low), abs(each.high)) < metric.harm


def _bandit(release: Release, phases: Sequence[Phase], seconds: float) -> Verdict:
    plan = release.plan
    names = [arm.name for arm in plan.arms if release.shares.get(arm.name, 0.0) > 0]
    pulls = [_pulls(plan, phases, name) for name in names]
    known = [each for each in pulls if each is not None]
    if len(known) < len(names):
        few = f"Every arm needs {judging.MIN_UNITS} units before anything is said."
        return Verdict(verb=Verb.HOLD, reason=few)
    best = best_arm.found_best(known, plan.alpha)
    if best is not None:
        reason = f"{names[best]} is the best in {plan.target.name}, at {plan.alpha:.0%} risk."
        return Verdict(verb=Verb.DECIDE, reason=reason, arm=names[best])
    if seconds < REWEIGHT_SECONDS:
        return Verdict(verb=Verb.HOLD, reason="No arm is shown to be the best yet.")
    shares = bandit_shares(plan, names, known, seed=zlib.crc32(f"{release.id}/{release.phase}".encode()))
    if max(abs(shares[name] - release.shares[name]) for name in names) < _NOTABLE:
        return Verdict(verb=Verb.HOLD, reason="No arm is shown to be the best yet.")
    whole = dict.fromkeys(release.shares, 0.0) | shares
    said = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return Verdict(verb=Verb.REWEIGHT, reason=f"By what is known now: {said}.", shares=whole)


def _pulls(plan: Plan, phases: Sequence[Phase], name: str) -> "Pulls | None":
    metric = plan.target
    sums = judging.totals(phases, name, metric.name)
    if sums[UNITS] < judging.MIN_UNITS:
        return None
    sign = 1 if metric.direction == "up" else -1
    calls = sums[CALLS]
    error = judging.variance(sums, NOTHING, binary=metric.binary)
    return best_arm.Pulls(n=calls, mean=sign * sums[SUM] / calls, variance=max(error * calls, 1e-18))


def bandit_shares(
    plan: Plan, names: Sequence[str], pulls: "Sequence[Pulls]", *, seed: int
) -> dict[str, float]:
    """Return the shares that the plan's sampler asks for, each at least `LEAST_SHARE`."""
    if plan.sampler == "track_and_stop":
        found = best_arm.tracking_shares(pulls)
    else:
        found = best_arm.top_two_shares(best_arm.chances_of_best(pulls, seed=seed))
    kept = [max(share, LEAST_SHARE) for share in found]
    return {name: share / sum(kept) for name, share in zip(names, kept, strict=True)}
