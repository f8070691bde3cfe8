"""A release from its start to its end, by evidence and by hand, with every kind and subject."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from penstock.core import clock
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.gateway import service as gateway
from penstock.gateway.splits import store as splits
from penstock.prompts import label_service
from penstock.prompts import service as prompts
from penstock.release import service
from penstock.release.model import Release, Score, State, Verb
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store
from tests.release.conftest import Start, found, outcome, table, tell, traffic


def _split(home: Home, subject: str = "route:chat") -> dict[str, float]:
    with home.read() as uow:
        split = splits.get(uow.conn, Scope(), subject)
    return {} if split is None else {arm.name: arm.weight for arm in split.arms}


def _log(home: Home, actor: Actor, release: Release) -> list[Verb]:
    with home.read() as uow:
        return [each.decision for each in reversed(service.decisions(uow, actor, id=release.id))]


def _targets(home: Home, actor: Actor) -> list[str]:
    with home.read() as uow:
        return [target.model for target in gateway.get_route(uow, actor, "chat").route.targets]


def test_a_good_canary_goes_step_by_step_and_becomes_the_rule(
    ready: Home, actor: Actor, start: Start
) -> None:
    release = start()
    assert release.state is State.RUNNING and _split(ready) == {"control": 0.8, "new": 0.2}
    tell(ready, release, traffic(release, 100))
    assert found(ready, actor, release.id).step == 0, "too few calls"
    tell(ready, release, traffic(release, 400, seed=2))
    second = found(ready, actor, release.id)
    assert (second.step, second.phase, _split(ready)) == (1, 1, {"control": 0.5, "new": 0.5})
    tell(ready, second, traffic(second, 400, seed=3))
    done = found(ready, actor, release.id)
    assert (done.state, done.winner) == (State.PROMOTED, "new")
    assert _split(ready) == {} and _targets(ready, actor) == ["new"]
    assert _log(ready, actor, release) == [
        Verb.START,
        Verb.HOLD,
        Verb.GO_ON,
        Verb.HOLD,
        Verb.PROMOTE,
    ] or _log(ready, actor, release) == [Verb.START, Verb.HOLD, Verb.GO_ON, Verb.PROMOTE]
    with ready.read() as uow:
        log = service.decisions(uow, actor, id=release.id)
        report = service.report(uow, actor, id=release.id)
    assert {each["metric"] for each in log[0].evidence["comparisons"]} == {"errors", "latency"}
    assert log[0].by == "penstock" and log[-1].by == actor.name
    assert sum(arm.calls for arm in report.arms) == 900 and report.ratio.ok


def test_a_bad_canary_is_rolled_back_by_itself_and_says_why(ready: Home, actor: Actor, start: Start) -> None:
    release = start()
    tell(ready, release, traffic(release, 500, fails={"new": 0.3}))
    done = found(ready, actor, release.id)
    assert done.state is State.ROLLED_BACK and done.ended_at is not None
    assert _split(ready) == {} and _targets(ready, actor) == ["old"]
    with ready.read() as uow:
        last = service.decisions(uow, actor, id=release.id)[0]
    assert last.decision is Verb.ROLL_BACK and "worse in errors" in last.reason
    [comparison] = last.evidence["comparisons"]
    assert comparison["verdict"] == "harmful" and comparison["difference"] > 0.1


def test_the_first_failures_are_enough_when_nothing_works(ready: Home, actor: Actor, start: Start) -> None:
    release = start(steps=[{"weight": 0.05}])
    calls = [outcome(0, "new", failed=True, latency_s=None) for _ in range(3)]
    tell(ready, release, [*calls, *(outcome(0, "control") for _ in range(40))])
    assert found(ready, actor, release.id).state is State.ROLLED_BACK, "after three calls, long before 50"


def test_a_broken_split_concludes_nothing(ready: Home, actor: Actor, start: Start) -> None:
    release = start()
    tell(ready, release, [outcome(0, "new" if number % 2 else "control") for number in range(400)])
    now = found(ready, actor, release.id)
    assert now.state is State.RUNNING and now.step == 0
    with ready.read() as uow:
        last = service.decisions(uow, actor, id=release.id)[0]
        ratio = service.report(uow, actor, id=release.id).ratio
    assert last.decision is Verb.HOLD and "split is broken" in last.reason
    assert not ratio.ok and ratio.counts == {"control": 200, "new": 200} and ratio.expected["new"] == 80


def test_rolling_back_by_hand_before_and_after_a_promotion(ready: Home, actor: Actor, start: Start) -> None:
    release = start()
    with ready.begin() as uow:
        assert service.roll_back(uow, actor, id="new-model", reason="no").state is State.ROLLED_BACK
    assert _split(ready) == {}
    with ready.begin() as uow, pytest.raises(Conflict, match="already"):
        service.roll_back(uow, actor, id=release.id)
    again = start()
    with ready.begin() as uow:
        assert service.promote(uow, actor, id=again.id).state is State.PROMOTED
    assert _targets(ready, actor) == ["new"]
    with ready.begin() as uow:
        service.roll_back(uow, actor, id=again.id)
    assert _targets(ready, actor) == ["old"]
    third = start()
    with ready.begin() as uow:
        service.promote(uow, actor, id=third.id)
        gateway.apply(uow, actor, {"routes": {"chat": {"targets": [{"provider": "mo", "model": "newest"}]}}})
    with ready.begin() as uow, pytest.raises(Conflict, match="changed after"):
        service.roll_back(uow, actor, id=third.id)


def test_pausing_stepping_and_who_may(ready: Home, actor: Actor, start: Start) -> None:
    release = start()
    with ready.begin() as uow:
        service.pause(uow, actor, id=release.id)
    tell(ready, release, traffic(release, 300, fails={"new": 0.9}))
    assert found(ready, actor, release.id).state is State.PAUSED
    with ready.begin() as uow:
        service.resume(uow, actor, id=release.id)
    tell(ready, release, [])
    assert found(ready, actor, release.id).state is State.ROLLED_BACK, "what came meanwhile was counted"
    other = start(name="other")
    with ready.begin() as uow:
        assert service.step(uow, actor, id=other.id).step == 1
    with ready.begin() as uow, pytest.raises(Conflict, match="no further step"):
        service.step(uow, actor, id=other.id)
    viewer = Actor(id="v", name="viewer", role=Role.VIEWER)
    with ready.begin() as uow, pytest.raises(Denied):
        service.roll_back(uow, viewer, id=other.id)
    with ready.begin() as uow, pytest.raises(NotFound):
        service.pause(uow, actor, id="nobody")


def test_one_release_of_the_same_calls(ready: Home, actor: Actor, start: Start) -> None:
    start()
    with pytest.raises(Conflict, match="is running"):
        start()
    with pytest.raises(Conflict, match="on the same calls"):
        start(name="second")
    with ready.read() as uow:
        assert len(service.list_releases(uow, actor)) == 1, "nothing of a refused one is left"


def test_a_prompt_is_released_by_its_label(ready: Home, actor: Actor, start: Start) -> None:
    release = start(
        subject={"type": "prompt", "prompt": "greet"},
        arms=[{"name": "control", "version": 1}, {"name": "new", "version": 2}],
    )
    assert _split(ready, "prompt:greet:production") == {"control": 0.8, "new": 0.2}

    def production() -> int:
        with ready.read() as uow:
            return prompts.find(uow, actor, name="greet").labels["production"]

    with ready.begin() as uow:
        service.promote(uow, actor, id=release.id)
    assert production() == 2
    with ready.begin() as uow:
        service.roll_back(uow, actor, id=release.id)
    assert production() == 1


def test_a_protected_label_waits_for_people(ready: Home, actor: Actor, start: Start) -> None:
    release = start(
        subject={"type": "prompt", "prompt": "greet"},
        arms=[{"name": "control", "version": 1}, {"name": "new", "version": 2}],
        steps=[{"weight": 0.5, "min_calls": 50, "min_seconds": 0}],
    )
    with ready.begin() as uow:
        label_service.protect(uow, actor, name="greet", label="production")
    tell(ready, release, traffic(release, 400))
    now = found(ready, actor, release.id)
    assert (now.state, now.winner) == (State.DECIDED, "new")
    assert _split(ready, "prompt:greet:production") == {"control": 0.5, "new": 0.5}, "nothing is half done"
    with ready.read() as uow:
        assert "protected" in service.decisions(uow, actor, id=release.id)[0].reason
    tell(ready, release, traffic(release, 400, fails={"new": 0.4}, seed=9))
    assert found(ready, actor, release.id).state is State.ROLLED_BACK, "what waits is still watched"


@pytest.mark.parametrize(
    ("type_", "arm", "after"),
    [
        ("params", {"params": {"temperature": 0.1}}, {"params": {"temperature": 0.1}}),
        ("route", {"route": "other"}, {"targets": ("other",)}),
    ],
)
def test_routes_and_parameters(
    ready: Home, actor: Actor, start: Start, type_: str, arm: dict[str, Any], after: dict[str, Any]
) -> None:
    release = start(
        subject={"type": type_, "route": "chat"}, arms=[{"name": "control"}, {"name": "new", **arm}]
    )
    with ready.begin() as uow:
        service.promote(uow, actor, id=release.id)
        route = gateway.get_route(uow, actor, "chat").route
    assert (
        after.items()
        <= {"params": dict(route.params), "targets": tuple(t.route for t in route.targets)}.items()
    )
    with ready.begin() as uow:
        service.roll_back(uow, actor, id=release.id)
    assert _targets(ready, actor) == ["old"]


def test_an_ab_test_finds_the_better_arm_and_waits(ready: Home, actor: Actor, start: Start) -> None:
    release = start(kind="ab", steps=[], metrics=[{"name": "errors"}, {"name": "latency"}])
    assert _split(ready) == {"control": 0.5, "new": 0.5}
    tell(ready, release, traffic(release, 3000, fails={"control": 0.12, "new": 0.04}))
    now = found(ready, actor, release.id)
    assert (now.state, now.winner) == (State.DECIDED, "new")
    with ready.begin() as uow:
        service.promote(uow, actor, id=release.id)
    assert _targets(ready, actor) == ["new"]


def test_an_ab_test_of_three_drops_the_one_that_hurts(ready: Home, actor: Actor, start: Start) -> None:
    arms = [{"name": "control"}, *({"name": name, "provider": "mo", "model": name} for name in ("a", "b"))]
    release = start(kind="ab", steps=[], arms=arms, metrics=[{"name": "latency"}, {"name": "errors"}])
    tell(ready, release, traffic(release, 600, fails={"a": 0.5}))
    now = found(ready, actor, release.id)
    assert (
        now.state is State.RUNNING and now.shares == {"control": 0.5, "a": 0.0, "b": 0.5} and now.phase == 1
    )


def test_a_bandit_moves_its_shares_and_finds_the_best(ready: Home, actor: Actor, start: Start) -> None:
    arms = [{"name": "control"}, *({"name": name, "provider": "mo", "model": name} for name in ("a", "b"))]
    release = start(
        kind="bandit", steps=[], arms=arms, metrics=[{"name": "feedback:thumb"}, {"name": "errors"}]
    )
    assert release.plan.target.direction == "up"
    for round_ in range(20):
        release = found(ready, actor, release.id)
        if release.state is not State.RUNNING:
            break
        with ready.begin() as uow:  # half a minute later
            moved = release.step_at.replace(year=release.step_at.year - 1)
            store.save(uow.conn, Scope(), replace(release, step_at=moved))
        tell(ready, release, _liked(release, 240, {"control": 0.45, "a": 0.7, "b": 0.35}, round_, ready))
    assert (release.state, release.winner) == (State.DECIDED, "a")
    assert Verb.REWEIGHT in _log(ready, actor, release)
    assert release.shares["a"] > 0.4 and min(release.shares.values()) >= 0.015


def _liked(release: Release, calls: int, rates: dict[str, float], seed: int, home: Home) -> list[Any]:
    dice, calls_made = Random(1000 + seed), traffic(release, calls, seed=seed)
    scores = [
        Score(
            id=f"fb-{call.trace_id}",
            trace_id=call.trace_id,
            span_id="",
            metric="feedback:thumb",
            value=float(dice.random() < rates[call.arm]),
            at=clock.now(),
        )
        for call in calls_made
    ]
    with home.begin() as uow:
        service.note_scores(uow, Scope(), scores)
    return calls_made


def test_a_prompt_is_tried_on_copies_before_its_label_moves(ready: Home, actor: Actor, start: Start) -> None:
    release = start(
        kind="shadow",
        subject={"type": "prompt", "prompt": "greet"},
        arms=[{"name": "control", "version": 1}, {"name": "new", "version": 2}],
        steps=[{"weight": 0.5}],
    )
    with ready.read() as uow:
        split = splits.get(uow.conn, Scope(), "prompt:greet:production")
    assert split is not None
    assert [(arm.version, arm.weight, arm.shadow) for arm in split.arms] == [(1, 1.0, False), (2, 0.5, True)]
    with ready.begin() as uow:
        service.promote(uow, actor, id=release.id)
        assert prompts.find(uow, actor, name="greet").labels["production"] == 2
    with ready.begin() as uow:
        service.roll_back(uow, actor, id=release.id)
        assert prompts.find(uow, actor, name="greet").labels["production"] == 1


def test_a_shadow_is_compared_pair_by_pair(ready: Home, actor: Actor, start: Start) -> None:
    release = start(kind="shadow", steps=[{"weight": 1, "min_calls": 100, "min_seconds": 0}])
    pairs = []
    for number in range(150):
        pair = f"{number:016x}"
        control = outcome(0, "control", pair=pair, latency_s=0.5 + number % 9 / 10)
        copy = outcome(0, "new", pair=pair, latency_s=(0.5 + number % 9 / 10) * (0.9 + number % 3 / 100))
        pairs += [control, copy] if number % 2 else [copy, control]
    tell(ready, release, pairs[:151])
    tell(ready, release, pairs[151:])
    now = found(ready, actor, release.id)
    assert (now.state, now.winner) == (State.DECIDED, "new")
    with ready.read() as uow:
        report = service.report(uow, actor, id=release.id)
        assert not calls_store.take_halves(uow.conn, release, ["0" * 16])
    latency = next(each for each in report.comparisons if each.metric == "latency")
    assert latency.verdict == "better" and latency.difference == pytest.approx(-0.09, abs=0.01)
    assert {arm.name: arm.calls for arm in report.arms} == {"control": 150, "new": 150}
    means = {arm.name: arm.metrics["latency"].mean for arm in report.arms}
    assert 0 < means["new"] < means["control"]


def test_the_person_not_the_call_is_what_counts(ready: Home, actor: Actor, start: Start) -> None:
    """One person whose every call fails is one failure, however often he calls, and in whatever batches."""
    release = start(steps=[{"weight": 0.05}])
    for _ in range(3):
        unlucky = [outcome(0, "new", failed=True, latency_s=None, unit="u1") for _ in range(10)]
        tell(ready, release, [*unlucky, *(outcome(0, "control") for _ in range(10))])
    assert found(ready, actor, release.id).state is State.RUNNING
    with ready.read() as uow:
        [phase] = store.phases_of(uow.conn, release)
    assert phase.units == {"new": 1, "control": 30}
    assert phase.sums["new"]["errors"] == (1, 30, 30, 900, 900, 900, 1)


def test_people_say_something_about_the_split_once(ready: Home, actor: Actor, start: Start) -> None:
    release = start(metrics=[{"name": "errors"}])
    tell(ready, release, [outcome(0, "control", unit=f"u{number}") for number in range(3)])
    with ready.begin() as uow:
        later = service.step(uow, actor, id=release.id)
    moved = [
        outcome(1, "new", unit="u0", failed=True),
        outcome(1, "control", unit="u1"),
        outcome(1, "new", unit="u9"),
    ]
    tell(ready, later, [*moved, *moved[:1]])
    with ready.read() as uow:
        first, second = store.phases_of(uow.conn, later)
    assert (first.units, first.again) == ({"control": 3}, {})
    assert (second.units, second.again) == ({"new": 1}, {"new": 1, "control": 1})
    assert second.sums["new"]["errors"] == (2, 3, 2, 4, 4, 5, 0), (
        "whoever comes again is no hit of the exact test"
    )


def test_plans_that_make_no_sense_are_refused(ready: Home, actor: Actor, start: Start) -> None:
    with pytest.raises(NotFound):
        start(subject={"type": "model", "route": "nobody"})
    with pytest.raises(Invalid, match="provider"):
        start(arms=[{"name": "control"}, {"name": "new", "model": "new"}])
    with pytest.raises(Invalid, match="messages cannot be set"):
        start(
            subject={"type": "params", "route": "chat"},
            arms=[{"name": "control"}, {"name": "new", "params": {"messages": []}}],
        )
    assert table()["name"] == "new-model"
    with ready.read() as uow:
        assert service.list_releases(uow, actor) == []
