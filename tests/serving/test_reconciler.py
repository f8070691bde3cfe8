import threading
import urllib.request
from collections.abc import Callable

import pytest

from penstock.core import clock
from penstock.core.errors import Conflict
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway import service as gateway
from penstock.serving import service
from penstock.serving.model import ReplicaState, Status
from penstock.serving.reconciler import Reconciler
from tests.fakes.engine import FakeEngine

Until = Callable[[Callable[[], bool]], None]
Make = Callable[[int], str]


def look(home: Home, actor: Actor) -> Status:
    with home.read() as uow:
        return service.status(uow, actor, name="triage")


def targets(home: Home, actor: Actor) -> dict[str, float]:
    with home.read() as uow:
        route = gateway.get_route(uow, actor, "triage").route
    return {target.model: round(target.weight, 6) for target in route.targets}


def live(home: Home) -> dict[str, int]:
    with home.read() as uow:
        return {name: len(urls) for name, urls in gateway.list_endpoints(uow).items()}


@pytest.fixture
def deployed(home: Home, actor: Actor, model: Make, until: Until, engine: FakeEngine) -> None:
    ref = model(1)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=ref)
    until(lambda: look(home, actor).state == "ready")


def test_deploy_starts_an_engine_and_tells_the_gateway(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine
) -> None:
    assert engine.alive() == ["triage@1"]
    assert live(home) == {"triage@1": 1}
    assert targets(home, actor) == {"triage@1": 1.0}
    replica = look(home, actor).production.replicas[0]
    assert (replica.state, replica.url) == (ReplicaState.READY, engine.started[0].url)
    assert engine.started[0].served == 1, "ready only after a token was generated"


def test_a_crashed_replica_is_taken_out_and_started_again(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, reconciler: Reconciler, until: Until
) -> None:
    engine.started[0].crash("it ran out of memory")
    reconciler.tick()
    seen = look(home, actor).production.replicas[0]
    assert (seen.state, seen.reason, seen.restarts) == (ReplicaState.FAILED, "it ran out of memory", 1)
    assert live(home) == {}
    until(lambda: look(home, actor).state == "ready")
    assert live(home) == {"triage@1": 1}
    assert len(engine.started) == 2


def test_a_model_that_cannot_start_shows_why_and_the_old_one_goes_on(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, until: Until, model: Make
) -> None:
    engine.broken["triage@2"] = "bad GGUF version"
    second, third = model(2), model(3)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=second)
    until(lambda: look(home, actor).state == "failed")
    assert look(home, actor).production.replicas[0].reason == "bad GGUF version"
    assert targets(home, actor) == {"triage@1": 1.0}
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=third)
    assert targets(home, actor) == {"triage@1": 1.0}, "the version that never answered stands in for nobody"
    until(lambda: look(home, actor).state == "ready")
    assert targets(home, actor) == {"triage@3": 1.0}


def test_an_engine_that_lost_its_library_says_what_to_install(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, reconciler: Reconciler, until: Until
) -> None:
    engine.missing = "serve"
    engine.started[0].crash("the environment was made anew")
    reconciler.tick()
    until(lambda: "penstock[serve]" in look(home, actor).production.replicas[0].reason)
    engine.missing = ""
    until(lambda: look(home, actor).state == "ready")
    assert len(engine.started) == 2


def test_canary_gets_its_share_only_once_ready(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, until: Until, model: Make
) -> None:
    ref = model(2)
    with home.begin() as uow:
        service.canary(uow, actor, name="triage", model=ref, weight=0.25)
    assert targets(home, actor) == {"triage@1": 1.0}
    with pytest.raises(Conflict, match="no replica that is ready"), home.begin() as uow:
        service.promote(uow, actor, name="triage")
    until(lambda: look(home, actor).of(2).ready)
    assert targets(home, actor) == {"triage@1": 0.75, "triage@2": 0.25}
    assert look(home, actor).of(2).share == 0.25
    with home.begin() as uow:
        service.canary(uow, actor, name="triage", model=ref, weight=0.5)
    assert targets(home, actor) == {"triage@1": 0.5, "triage@2": 0.5}
    assert len(engine.started) == 2, "only the weight changed"


def test_promote_and_roll_back_take_effect_at_once(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, until: Until, model: Make
) -> None:
    ref = model(2)
    with home.begin() as uow:
        service.canary(uow, actor, name="triage", model=ref)
    until(lambda: look(home, actor).of(2).ready)
    with home.begin() as uow:
        service.promote(uow, actor, name="triage")
    assert targets(home, actor) == {"triage@2": 1.0}
    with home.begin() as uow:
        service.rollback(uow, actor, name="triage")
    assert targets(home, actor) == {"triage@1": 1.0}
    assert engine.alive() == ["triage@1", "triage@2"], "no engine had to start or stop"
    with home.read() as uow:
        actions = [entry.action for entry in service.history(uow, actor, name="triage")]
    assert actions == ["rollback", "promote", "canary", "deploy"]


def test_rolling_back_a_canary_ends_it_when_it_is_idle(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, until: Until, model: Make
) -> None:
    ref = model(2)
    with home.begin() as uow:
        service.canary(uow, actor, name="triage", model=ref)
    until(lambda: look(home, actor).of(2).ready)
    second = engine.started[1]
    second.hold.clear()
    body = urllib.request.Request(f"{second.url}/v1/completions", data=b"{}", method="POST")
    asking = threading.Thread(target=lambda: urllib.request.urlopen(body).close())
    asking.start()
    until(second.busy)
    with home.begin() as uow:
        service.rollback(uow, actor, name="triage")
    until(lambda: look(home, actor).of(2).replicas[0].state is ReplicaState.STOPPED)
    assert live(home) == {"triage@1": 1}
    assert engine.alive() == ["triage@1", "triage@2"], "it still answers somebody"
    second.hold.set()
    asking.join()
    until(lambda: engine.alive() == ["triage@1"])
    until(lambda: look(home, actor).of(2).replicas == ())


def test_the_previous_version_stops_when_its_time_is_over(
    home: Home,
    actor: Actor,
    deployed: None,
    engine: FakeEngine,
    until: Until,
    model: Make,
    reconciler: Reconciler,
) -> None:
    ref = model(2)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=ref)
    until(lambda: look(home, actor).state == "ready")
    assert engine.alive() == ["triage@1", "triage@2"]
    later = clock.from_ns(clock.now_ns() + 3700 * 10**9)
    reconciler._looked = float("-inf")
    with clock.frozen(later):
        until(lambda: engine.alive() == ["triage@2"])
        with home.begin() as uow:
            service.rollback(uow, actor, name="triage")
        assert targets(home, actor) == {"triage@2": 1.0}, "it goes on until the earlier one runs again"
        until(lambda: targets(home, actor) == {"triage@1": 1.0})


def test_remove_ends_everything_and_numbers_go_on(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, until: Until, model: Make
) -> None:
    with home.begin() as uow:
        service.remove(uow, actor, name="triage")
    assert live(home) == {}
    with home.read() as uow:
        assert gateway.list_routes(uow, actor) == []
        assert service.list_deployments(uow, actor) == []
    until(lambda: engine.alive() == [])
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model="triage@1")
    until(lambda: look(home, actor).state == "ready")
    assert live(home) == {"triage@2": 1}


def test_replicas_share_a_version(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, model: Make
) -> None:
    ref = model(1)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=ref, replicas=3)
    until(lambda: live(home) == {"triage@1": 3})
    engine.started[0].crash()
    until(lambda: live(home) == {"triage@1": 2})
    assert targets(home, actor) == {"triage@1": 1.0}, "the others go on"
    until(lambda: live(home) == {"triage@1": 3})
    assert len(engine.alive()) == 3


def test_a_new_reconciler_starts_from_nothing(
    home: Home, actor: Actor, deployed: None, engine: FakeEngine, until: Until, reconciler: Reconciler
) -> None:
    reconciler._runners.clear()  # as kill -9 does: nobody cleaned up
    engine.started[0].crash()
    second = Reconciler(home, lambda name: engine)
    second.tick()
    assert live(home) == {}
    while look(home, actor).state != "ready":
        second.tick()
    assert live(home) == {"triage@1": 1}
    second.close()
    assert live(home) == {}
    assert engine.alive() == []
    second.end_measuring()


def test_only_one_reconciler_works_per_home(
    home: Home, actor: Actor, engine: FakeEngine, model: Make
) -> None:
    ref = model(1)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=ref)
    stops = [threading.Event(), threading.Event()]
    threads = [
        threading.Thread(target=Reconciler(home, lambda name: engine).run, args=(stop,)) for stop in stops
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(1200):
            if engine.alive():
                break
            stops[0].wait(0.05)
        stops[0].wait(0.5)
        assert len(engine.alive()) == 1
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join()
    assert engine.alive() == []


def test_a_hand_made_change_of_the_route_is_repaired(
    home: Home, actor: Actor, deployed: None, until: Until, reconciler: Reconciler
) -> None:
    with home.begin() as uow:
        gateway.delete_route(uow, actor, "triage")
    reconciler._looked = float("-inf")
    reconciler.tick()
    assert targets(home, actor) == {"triage@1": 1.0}
