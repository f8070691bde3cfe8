"""What the sums say: estimates against numpy, and the errors a release makes, by simulation of whole releases."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.release import judging, sums
from penstock.release.deciding import decide, step_shares
from penstock.release.judging import CALLS_COUNTED
from penstock.release.metrics import metric
from penstock.release.model import (
    Kind,
    Phase,
    Plan,
    PlannedArm,
    Release,
    State,
    Step,
    Subject,
    SubjectType,
    Verb,
)
from penstock.release.planning import calls_until_seen

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TWO = (PlannedArm(name="control"), PlannedArm(name="new", provider="p", model="m"))
Floats = NDArray[np.float64]


def _plan(
    kind: Kind = Kind.CANARY, *names: str, weights: tuple[float, ...] = (0.5,), alpha: float = 0.05
) -> Plan:
    return Plan(
        name="x",
        kind=kind,
        subject=Subject(type=SubjectType.MODEL, route="r"),
        arms=TWO,
        metrics=tuple(metric(name) for name in names or ("errors",)),
        steps=tuple(Step(weight=weight, min_calls=10**9) for weight in weights),
        alpha=alpha,
    )


def _phase(number: int, shares: Mapping[str, float], own: Mapping[str, Mapping[str, sums.Sums]]) -> Phase:
    units = {arm: int(found[CALLS_COUNTED][0]) for arm, found in own.items()}
    return Phase(number=number, shares=shares, units=units, again={}, sums=own, started_at=MOMENT)


def _single(values: Floats) -> sums.Sums:
    n, total = float(len(values)), float(values.sum())
    return (n, n, total, float((values**2).sum()), total, n, float((values > 0).sum()))


def _release(plan: Plan, shares: Mapping[str, float], step: int = 0) -> Release:
    return Release(
        id="rel_1", plan=plan, state=State.RUNNING, step=step, phase=step, shares=shares, winner="", before=None,
        author="a", created_at=MOMENT, step_at=MOMENT,
    )  # fmt: skip


def test_sums_are_those_of_the_units() -> None:
    table = sums.NOTHING
    table = sums.added(table, (1.0, 2.0))
    table = sums.added(table, (2.0, 5.0), (1.0, 2.0))
    table = sums.added(table, (1.0, 0.0))
    assert table == (2, 3, 5, 25, 10, 5, 1)


def test_the_variance_is_the_cluster_robust_one() -> None:
    rng = np.random.default_rng(1)
    calls = rng.integers(1, 9, 400)
    people = [rng.normal(rng.normal(2.0, 1.0), 0.2, count) for count in calls]
    table = sums.NOTHING
    for own in people:
        table = sums.added(table, (float(len(own)), float(own.sum())))
    found = math.sqrt(judging.variance(table, sums.NOTHING, binary=False))
    every = np.concatenate(people)
    resampled = [
        np.concatenate([people[k] for k in rng.integers(0, len(people), len(people))]).mean()
        for _ in range(300)
    ]
    assert found == pytest.approx(float(np.std(resampled)), rel=0.15)
    assert found > 2 * float(every.std()) / math.sqrt(len(every)), "calls alone would look far too certain"


def test_a_change_of_everybody_between_steps_is_no_difference() -> None:
    """Simpson's paradox: the arm grows while failures become rarer for everybody."""
    rng, plan = np.random.default_rng(2), _plan(weights=(0.1, 0.9))
    phases = []
    for number, (share, rate) in enumerate(((0.1, 0.3), (0.9, 0.05))):
        own = {}
        for arm, part in (("control", 1 - share), ("new", share)):
            table = _single((rng.random(round(5000 * part)) < rate).astype(float))
            own[arm] = {"errors": table, CALLS_COUNTED: table}
        phases.append(_phase(number, {"control": 1 - share, "new": share}, own))
    naive = [judging.totals(phases, arm, "errors") for arm in ("control", "new")]
    assert naive[0][2] / naive[0][1] > 2 * naive[1][2] / naive[1][1]
    found = judging.compare(plan, phases, "new", plan.metrics[0])
    assert found is not None and found.low < 0 < found.high and found.verdict in ("open", "safe")


def test_people_who_come_again_are_not_counted_again() -> None:
    rng, plan = np.random.default_rng(7), _plan(weights=(0.5, 0.51))
    own = {}
    for arm in ("control", "new"):
        table = _single((rng.random(1000) < 0.1).astype(float))
        own[arm] = {"errors": table, CALLS_COUNTED: table}
    once = [_phase(0, {"control": 0.5, "new": 0.5}, own)]
    again = [
        *once,
        Phase(
            number=1,
            shares={"control": 0.49, "new": 0.51},
            units={},
            again=once[0].units,
            sums=own,
            started_at=MOMENT,
        ),
    ]
    one, two = (judging.compare(plan, phases, "new", plan.metrics[0]) for phases in (once, again))
    assert one is not None and two is not None
    assert (two.low, two.high) == pytest.approx((one.low, one.high))


def _stops(
    plan: Plan, rates: tuple[float, float], *, runs: int, calls: int, every: int, seed: int, share: float
) -> tuple[float, list[int]]:
    """Part of the runs that end by harm, and after how many calls; a look after each `every` calls."""
    rng = np.random.default_rng(seed)
    shares = {"control": 1 - share, "new": share}
    release = _release(plan, shares)
    at: list[int] = []
    for _ in range(runs):
        side = rng.random(calls) < share
        failed = rng.random(calls) < np.where(side, rates[1], rates[0])
        lasted = rng.lognormal(-1, 0.8, calls)
        for seen in range(every, calls + 1, every):
            own = {}
            for arm, mine in (("control", ~side[:seen]), ("new", side[:seen])):
                own[arm] = {
                    "errors": _single(failed[:seen][mine].astype(float)),
                    "latency": _single(lasted[:seen][mine]),
                    CALLS_COUNTED: _single(np.ones(int(mine.sum()))),
                }
            phases = [_phase(0, shares, own)]
            verdict = decide(release, phases, judging.report(plan, phases, shares), seconds=1e9)
            if verdict.verb is Verb.ROLL_BACK:
                at.append(seen)
                break
    return len(at) / runs, at


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_without_a_difference_wrong_rollbacks_are_rare_however_often_one_looks(share: float) -> None:
    plan = _plan(Kind.CANARY, "errors", "latency")
    wrong, _ = _stops(plan, (0.05, 0.05), runs=150, calls=4000, every=40, seed=3, share=share)
    assert wrong <= 0.05


def test_two_points_of_harm_are_rolled_back_in_the_expected_time() -> None:
    plan = _plan(Kind.CANARY, "errors")
    expected = calls_until_seen(plan.metrics[0], mean=0.02, deviation=0.14, share=0.5, level=plan.level / 2)
    stopped, at = _stops(plan, (0.02, 0.04), runs=60, calls=5 * expected, every=100, seed=4, share=0.5)
    assert stopped >= 0.95
    assert 0.5 * expected <= float(np.median(at)) <= 1.5 * expected


def test_a_loss_smaller_than_the_harm_is_safe_in_the_end() -> None:
    rng, plan = np.random.default_rng(5), _plan(Kind.CANARY, "latency")
    shares = {"control": 0.5, "new": 0.5}
    own = {
        arm: {"latency": _single(rng.lognormal(-1, 0.5, 20_000) * scale)}
        for arm, scale in (("control", 1.0), ("new", 1.04))
    }
    phases = [Phase(number=0, shares=shares, units={}, again={}, sums=own, started_at=MOMENT)]
    found = judging.compare(plan, phases, "new", plan.metrics[0])
    assert found is not None and found.low > 0 and found.high < 0.2 and found.verdict == "safe"


def test_directions_and_shares_of_the_mean() -> None:
    rng, plan = np.random.default_rng(6), _plan(Kind.AB, "cost", "feedback:thumb")
    own = {
        arm: {
            "cost": _single(rng.gamma(4, cost / 4, 3000)),
            "feedback:thumb": _single((rng.random(3000) < liked) * 1.0),
        }
        for arm, cost, liked in (("control", 0.02, 0.5), ("new", 0.01, 0.3))
    }
    phases = [
        Phase(number=0, shares={"control": 0.5, "new": 0.5}, units={}, again={}, sums=own, started_at=MOMENT)
    ]
    cost, thumb = (judging.compare(plan, phases, "new", each) for each in plan.metrics)
    assert cost is not None and thumb is not None
    assert (cost.verdict, thumb.verdict) == ("better", "harmful")
    assert cost.difference == pytest.approx(-0.5, abs=0.05) and cost.low < -0.5 < cost.high
    assert thumb.difference == pytest.approx(-0.2, abs=0.05)


def test_a_step_is_over_when_nothing_is_left_to_prove() -> None:
    plan = Plan(
        name="x", kind=Kind.CANARY, subject=Subject(type=SubjectType.MODEL, route="r"), arms=TWO,
        metrics=(metric("errors"),), steps=(Step(weight=0.5, min_calls=100, min_seconds=5),), evidence="proven",
    )  # fmt: skip
    shares = step_shares(plan, 0)

    def verdict(calls: int, seconds: float) -> tuple[Verb, str]:
        quiet = np.zeros(calls)
        own = {
            arm: {"errors": _single(quiet), CALLS_COUNTED: _single(quiet + 1)} for arm in ("control", "new")
        }
        phases = [_phase(0, shares, own)]
        found = decide(_release(plan, shares), phases, judging.report(plan, phases, shares), seconds=seconds)
        return found.verb, found.reason

    assert verdict(99, 10)[0] is Verb.HOLD and verdict(2000, 4)[0] is Verb.HOLD
    assert verdict(110, 10) == (Verb.HOLD, "Not yet shown to be no worse in errors.")
    assert verdict(3000, 10)[0] is Verb.DECIDE


def test_intervals_lie_within_what_a_figure_can_be() -> None:
    plan = replace(_plan(), metrics=(metric("errors"), metric("latency"), metric("feedback:thumb")))
    few = {
        "errors": _single(np.array([1.0, 0.0, 0.0])),
        "latency": _single(np.array([0.1, 9.0, 0.2])),
        "feedback:thumb": _single(np.array([-1.0, 1.0, 1.0])),
        CALLS_COUNTED: _single(np.ones(3)),
    }
    phase = Phase(
        number=0,
        shares={"control": 0.5, "new": 0.5},
        units={},
        again={},
        sums={"control": few, "new": few},
        started_at=MOMENT,
    )
    arm = judging.report(plan, [phase], phase.shares).arms[0]
    assert (arm.metrics["errors"].low, arm.metrics["errors"].high) == (0.0, 1.0)
    assert arm.metrics["latency"].low == 0.0 < arm.metrics["latency"].mean < arm.metrics["latency"].high
    assert arm.metrics["feedback:thumb"].low < -1.0, "nobody knows what people may give"
