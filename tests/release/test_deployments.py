"""A release of a deployment: the new model starts beside the old one, gets its share once it answers, stays or goes."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock.core.errors import Conflict
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway import service as gateway
from penstock.gateway.splits import store as splits
from penstock.release import jobs, service
from penstock.release.model import Release, State
from penstock.release.reading import plan_of
from penstock.serving import service as serving
from penstock.serving.reconciler import Reconciler
from tests.fakes.engine import FakeEngine
from tests.release.conftest import found, table, tell, traffic
from tests.serving.conftest import engine, model, reconciler, until

__all__ = ["engine", "model", "reconciler", "until"]

Make = Callable[[int], str]
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def deployed(home: Home, actor: Actor, model: Make, until: Until, engine: FakeEngine) -> Home:
    """A home where `triage` answers with its first model."""
    ref = model(1)
    with home.begin() as uow:
        serving.deploy(uow, actor, name="triage", model=ref)
    until(lambda: _alive(engine) == ["triage@1"])
    return home


def _alive(engine: FakeEngine) -> list[str]:
    return engine.alive()


def _begin(home: Home, actor: Actor, ref: str, **more: Any) -> Release:
    plan = table(
        subject={"type": "model", "deployment": "triage"},
        arms=[{"name": "control"}, {"name": "new", "model": ref}],
        **more,
    )
    with home.begin() as uow:
        return service.start(uow, actor, plan=plan_of(plan))


def _split(home: Home, actor: Actor) -> dict[str, tuple[float, str]]:
    with home.read() as uow:
        split = splits.get(uow.conn, actor.scope, "route:triage")
    return {} if split is None else {arm.name: (arm.weight, arm.targets[0].model) for arm in split.arms}


def _production(home: Home, actor: Actor) -> tuple[int, int | None]:
    with home.read() as uow:
        live = serving.find(uow, actor, name="triage")
    return live.production, live.candidate


def _running(home: Home, actor: Actor, release: Release, until: Until) -> Release:
    def divided() -> bool:
        jobs.tick(home)
        return bool(_split(home, actor))

    until(divided)
    return found(home, actor, release.id)


def test_calls_are_divided_only_once_the_new_model_answers(
    deployed: Home, actor: Actor, model: Make, until: Until
) -> None:
    release = _begin(deployed, actor, model(2))
    assert release.state is State.WAITING and _split(deployed, actor) == {}
    jobs.tick(deployed)
    assert _split(deployed, actor) == {}, "no replica of it answers yet"
    now = _running(deployed, actor, release, until)
    assert now.state is State.RUNNING
    assert _split(deployed, actor) == {"control": (0.8, "triage@1"), "new": (0.2, "triage@2")}
    third = model(3)
    with deployed.begin() as uow, pytest.raises(Conflict, match="canary"):
        serving.deploy(uow, actor, name="triage", model=third)


def test_a_good_model_takes_over_and_can_be_rolled_back(
    deployed: Home, actor: Actor, model: Make, until: Until, engine: FakeEngine
) -> None:
    release = _running(deployed, actor, _begin(deployed, actor, model(2)), until)
    tell(deployed, release, traffic(release, 500))
    second = found(deployed, actor, release.id)
    tell(deployed, second, traffic(second, 500, seed=3))
    assert found(deployed, actor, release.id).state is State.PROMOTED
    assert (_production(deployed, actor), _split(deployed, actor)) == ((2, None), {})
    with deployed.begin() as uow:
        service.roll_back(uow, actor, id=release.id, reason="second thoughts")
    assert _production(deployed, actor) == (1, None)
    with deployed.read() as uow:
        route = gateway.get_route(uow, actor, "triage").route
    assert [target.model for target in route.targets if target.weight] == ["triage@1"]
    assert "triage@1" in engine.alive()


def test_a_new_version_gets_copies_until_somebody_promotes_it(
    deployed: Home, actor: Actor, model: Make, until: Until
) -> None:
    shadow = _begin(deployed, actor, model(2), kind="shadow", steps=[{"weight": 0.5}])
    release = _running(deployed, actor, shadow, until)
    assert _split(deployed, actor) == {"control": (1.0, "triage@1"), "new": (0.5, "triage@2")}
    assert _production(deployed, actor) == (1, 2)
    with deployed.begin() as uow:
        assert service.promote(uow, actor, id=release.id).state is State.PROMOTED
    assert (_production(deployed, actor), _split(deployed, actor)) == ((2, None), {})


def test_a_bad_model_goes_and_its_engine_ends(
    deployed: Home, actor: Actor, model: Make, until: Until, engine: FakeEngine
) -> None:
    release = _running(deployed, actor, _begin(deployed, actor, model(2)), until)
    assert engine.alive() == ["triage@1", "triage@2"]
    tell(deployed, release, traffic(release, 500, fails={"new": 0.4}))
    assert found(deployed, actor, release.id).state is State.ROLLED_BACK
    assert (_production(deployed, actor), _split(deployed, actor)) == ((1, None), {})
    until(lambda: engine.alive() == ["triage@1"])


def test_a_model_that_never_answers_divides_no_call(
    deployed: Home, actor: Actor, model: Make, reconciler: Reconciler, engine: FakeEngine
) -> None:
    engine.broken["triage@2"] = "bad file"
    release = _begin(deployed, actor, model(2))
    for _ in range(5):
        reconciler.tick()
        jobs.tick(deployed)
    assert _split(deployed, actor) == {}
    assert found(deployed, actor, release.id).state is State.WAITING
    with deployed.begin() as uow:
        service.roll_back(uow, actor, id=release.id)
    assert _production(deployed, actor) == (1, None)
