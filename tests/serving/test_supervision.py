"""Crash loops, limits, liveness, rolling updates, autoscaling, quotas and adapters, on engines in memory."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.gateway import service as gateway
from penstock.gateway.waiting import service as waiting
from penstock.registry import service as registry
from penstock.serving import machine, operating, service
from penstock.serving.model import Autoscale, Quota, Replica, ReplicaState, Status
from penstock.serving.reconciler import Reconciler
from penstock.serving.sampling import CPU, MEMORY, REPLICAS, RUNNING, WAITING
from penstock.serving.settings import ServingSettings
from tests.fakes.engine import FakeEngine

Until = Callable[[Callable[[], bool]], None]
Make = Callable[[int], str]


def look(home: Home, actor: Actor, name: str = "triage") -> Status:
    with home.read() as uow:
        return service.status(uow, actor, name=name)


def replicas(home: Home, actor: Actor, name: str = "triage") -> list[Replica]:
    return [replica for entry in look(home, actor, name).versions for replica in entry.replicas]


def live(home: Home) -> dict[str, int]:
    with home.read() as uow:
        return {name: len(urls) for name, urls in gateway.list_endpoints(uow).items()}


def deploy(home: Home, actor: Actor, model: str, name: str = "triage", **more: object) -> None:
    with home.begin() as uow:
        service.deploy(uow, actor, name=name, model=model, **more)  # type: ignore[arg-type]


def configure(monkeypatch: pytest.MonkeyPatch, reconciler: Reconciler, **values: object) -> None:
    """Let the reconciler and its runners see other settings."""
    changed = replace(reconciler._settings, **values)  # type: ignore[arg-type]
    section = type(reconciler._home.settings).section
    monkeypatch.setattr(
        type(reconciler._home.settings),
        "section",
        lambda self, kind: changed if kind is ServingSettings else section(self, kind),
    )


@pytest.fixture
def ready(home: Home, actor: Actor, model: Make, until: Until) -> str:
    """Deploy one replica; returns the model."""
    ref = model(1)
    deploy(home, actor, ref)
    until(lambda: look(home, actor).state == "ready")
    return ref


def test_a_crash_loop_is_given_up_until_somebody_retries(
    home: Home,
    actor: Actor,
    engine: FakeEngine,
    until: Until,
    model: Make,
    reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(monkeypatch, reconciler, crash_limit=3, restart_pause=0.01, restart_pause_max=0.02)
    ref = model(1)
    engine.broken["triage@1"] = "bad GGUF version"
    deploy(home, actor, ref)
    until(lambda: "Given up after 3 failures" in "".join(r.reason for r in replicas(home, actor)))
    assert replicas(home, actor)[0].reason.startswith("bad GGUF version")
    attempts = len(engine.launches)
    for _ in range(20):
        reconciler.tick()
        time.sleep(0.005)
    assert len(engine.launches) == attempts, "it is left alone"
    engine.broken.clear()
    with home.begin() as uow:
        operating.retry(uow, actor, name="triage")
    until(lambda: look(home, actor).state == "ready")
    assert replicas(home, actor)[0].restarts == 0


def test_a_replica_above_its_memory_limit_is_ended_and_started_again(
    home: Home,
    actor: Actor,
    engine: FakeEngine,
    until: Until,
    model: Make,
    reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deploy(home, actor, model(1), memory_bytes=1000)
    until(lambda: look(home, actor).state == "ready")
    engine.started[0].fake_pid = 4242
    used = {"now": 999}
    monkeypatch.setattr(
        machine, "sessions", lambda pids: {4242: machine.Spent(cpu_seconds=1.0, memory_bytes=used["now"])}
    )
    reconciler.sample()
    until(lambda: replicas(home, actor)[0].usage.memory_bytes == 999)
    used["now"] = 1001
    reconciler.sample()
    until(lambda: "It used 1001 bytes of memory; its limit is 1000" in replicas(home, actor)[0].reason)
    assert engine.started[0].stopped
    until(lambda: look(home, actor).state == "ready")
    assert len(engine.started) == 2


def test_an_engine_that_hangs_is_restarted(
    home: Home,
    actor: Actor,
    engine: FakeEngine,
    until: Until,
    model: Make,
    reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(monkeypatch, reconciler, liveness_timeout=0.2)
    deploy(home, actor, model(1))
    until(lambda: look(home, actor).state == "ready")
    reconciler.sample()
    reconciler.tick()
    assert look(home, actor).state == "ready"
    engine.started[0].silent = True
    time.sleep(0.25)
    reconciler.sample()
    until(lambda: "did not answer" in replicas(home, actor)[0].reason)
    until(lambda: look(home, actor).state == "ready")
    assert len(engine.started) == 2


def test_a_rolling_update_never_has_fewer_replicas_ready_and_never_more_than_one_extra(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, model: Make, reconciler: Reconciler
) -> None:
    first, second = model(1), model(2)
    deploy(home, actor, first, replicas=3)
    until(lambda: live(home) == {"triage@1": 3})
    with home.begin() as uow:
        operating.update(uow, actor, name="triage", changes={"model": second})
    seen: list[tuple[int, int]] = []

    def done() -> bool:
        found = live(home)
        seen.append((found.get("triage@1", 0), found.get("triage@2", 0)))
        return found == {"triage@2": 3} and engine.alive() == ["triage@2"] * 3

    until(done)
    assert min(old + new for old, new in seen) >= 3
    assert max(old + new for old, new in seen) <= 4
    assert {(2, 1), (1, 2)} & set(seen), "both answered for a while"
    with home.read() as uow:
        route = gateway.get_route(uow, actor, "triage").route
    assert [target.model for target in route.targets] == ["triage@2"]


def test_a_rolling_update_to_a_broken_version_leaves_the_old_one_whole(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, model: Make, reconciler: Reconciler
) -> None:
    first, second = model(1), model(2)
    deploy(home, actor, first, replicas=2)
    until(lambda: live(home) == {"triage@1": 2})
    engine.broken["triage@2"] = "damaged"
    with home.begin() as uow:
        operating.update(uow, actor, name="triage", changes={"model": second})
    until(lambda: any(r.reason == "damaged" for r in replicas(home, actor)))
    assert live(home) == {"triage@1": 2}
    assert len([r for r in replicas(home, actor) if r.number == 2]) == 1, "one is tried, not all"
    with home.begin() as uow:
        service.rollback(uow, actor, name="triage")
    until(lambda: {r.number for r in replicas(home, actor)} == {1} and live(home) == {"triage@1": 2})


def test_scaling_keeps_what_runs(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, ready: str
) -> None:
    with home.begin() as uow:
        operating.scale(uow, actor, name="triage", replicas=3)
    until(lambda: live(home) == {"triage@1": 3})
    with home.begin() as uow:
        operating.update(uow, actor, name="triage", changes={"replicas": 1})
    until(lambda: live(home) == {"triage@1": 1} and len(engine.alive()) == 1)
    assert look(home, actor).deployment.production == 1
    assert engine.started[0].exit_reason() is None, "the first is the one that stays"
    with pytest.raises(Invalid, match="either replicas, or min and max"), home.begin() as uow:
        operating.scale(uow, actor, name="triage")


def test_replicas_follow_the_load(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, ready: str, reconciler: Reconciler
) -> None:
    with home.begin() as uow:
        operating.scale(uow, actor, name="triage", autoscale=Autoscale(min=1, max=3, requests=2))
    until(lambda: live(home) == {"triage@1": 1})
    engine.started[0].queued = 5
    reconciler.sample()
    until(lambda: live(home) == {"triage@1": 3})
    assert RUNNING.value("default", "default", "triage", "1.0") == 0
    assert WAITING.value("default", "default", "triage", "1.0") == 5
    assert REPLICAS.value("default", "default", "triage", "ready") == 3


def test_a_sleeping_deployment_wakes_when_somebody_waits(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, ready: str, reconciler: Reconciler
) -> None:
    with home.begin() as uow:
        operating.scale(uow, actor, name="triage", autoscale=Autoscale(min=0, max=1, idle=0.05))
    reconciler.sample()
    reconciler.tick()
    engine.started[0].in_flight = 1  # nobody has measured since
    time.sleep(0.06)
    reconciler._looked = float("-inf")
    reconciler.tick()
    assert len(engine.alive()) == 1
    engine.started[0].in_flight = 0

    def asleep() -> bool:
        reconciler.sample()
        return engine.alive() == []

    until(asleep)
    until(lambda: look(home, actor).state == "asleep")
    with home.read() as uow:
        route = gateway.get_route(uow, actor, "triage").route
    assert [target.model for target in route.targets] == ["triage@1"], "callers still find it"
    with home.begin() as uow:
        waiting.ask_endpoint(uow, "triage@1", actor.scope)
    until(lambda: live(home) == {"triage@1": 1})


def test_what_finds_no_room_waits_and_says_why(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, model: Make
) -> None:
    ref = model(1)
    with home.begin() as uow:
        operating.set_quota(uow, actor, Quota(replicas=2))
        assert operating.quota(uow, actor) == Quota(replicas=2)
    deploy(home, actor, ref, replicas=3)
    until(lambda: live(home) == {"triage@1": 2})
    until(lambda: len(replicas(home, actor)) == 3)
    waits = replicas(home, actor)[2]
    assert (waits.state, waits.reason) == (
        ReplicaState.PENDING,
        "The project's quota is 2 replicas; this would make 3.",
    )
    deploy(home, actor, ref, name="urgent")
    with home.begin() as uow:
        operating.set_priority(uow, actor, name="urgent", priority=10)
    until(lambda: live(home) == {"triage@1": 1, "urgent@1": 1})
    with home.begin() as uow:
        operating.set_quota(uow, actor, Quota())
    until(lambda: live(home) == {"triage@1": 3, "urgent@1": 1})
    assert all(not replica.reason for replica in replicas(home, actor))
    member = Actor(id="m", name="m", role=Role.MEMBER)
    with home.begin() as uow:
        operating.set_priority(uow, member, name="urgent", priority=-1)
        with pytest.raises(Denied):
            operating.set_priority(uow, member, name="urgent", priority=1)
        with pytest.raises(Denied):
            operating.set_quota(uow, member, Quota(replicas=9))


@pytest.fixture
def adapter(home: Home, actor: Actor, tmp_path: Path) -> Callable[..., str]:
    def make(name: str = "legal", rank: int = 4) -> str:
        folder = tmp_path / f"{name}-{rank}"
        folder.mkdir()
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank}))
        (folder / "adapter_model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
        return registry.register(home, actor, name=name, folder=folder, kind="adapter", base="triage@1").ref

    return make


def test_adapters_are_swapped_without_a_restart(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, ready: str, adapter: Callable[..., str]
) -> None:
    ref = adapter()
    with home.begin() as uow:
        operating.put_adapter(uow, actor, name="triage", adapter="legal", model=ref)
    until(lambda: live(home).get("triage:legal") == 1)
    assert list(engine.started[0].adapters) == ["triage:legal"]
    with home.read() as uow:
        route = gateway.get_route(uow, actor, "triage:legal").route
    assert [target.model for target in route.targets] == ["triage:legal"]
    assert replicas(home, actor)[0].adapters == ("legal",)
    with home.begin() as uow:
        operating.delete_adapter(uow, actor, name="triage", adapter="legal")
    until(lambda: engine.started[0].adapters == {})
    assert live(home) == {"triage@1": 1}
    with home.read() as uow, pytest.raises(NotFound):
        gateway.get_route(uow, actor, "triage:legal")
    assert len(engine.started) == 1


def test_an_adapter_that_the_engine_refuses_is_named_and_the_model_goes_on(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, ready: str, adapter: Callable[..., str]
) -> None:
    engine.started[0].refuses.add("triage:legal")
    ref = adapter(rank=99)
    with home.begin() as uow:
        operating.put_adapter(uow, actor, name="triage", adapter="legal", model=ref)
    until(lambda: "rank too high" in replicas(home, actor)[0].reason)
    assert live(home) == {"triage@1": 1}
    with home.begin() as uow:
        with pytest.raises(Invalid, match="not an adapter"):
            operating.put_adapter(uow, actor, name="triage", adapter="other", model=ready)
        with pytest.raises(Invalid, match="not an adapter's name"):
            operating.put_adapter(uow, actor, name="triage", adapter="No!", model=ref)
        with pytest.raises(NotFound, match="serves no adapter"):
            operating.delete_adapter(uow, actor, name="triage", adapter="other")


def test_logs_are_the_end_of_what_replicas_wrote(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, ready: str
) -> None:
    engine.launches[0].log.write_text("".join(f"line {number}\n" for number in range(1000)))
    with home.read() as uow:
        (found,) = operating.logs(uow, actor, name="triage", lines=3)
        assert (found.replica, found.lines) == ("1.0", ("line 997", "line 998", "line 999"))
        assert operating.logs(uow, actor, name="triage", replica="1.0", lines=1)[0].lines == ("line 999",)
        with pytest.raises(NotFound, match=r"no log of a replica '9\.9'"):
            operating.logs(uow, actor, name="triage", replica="9.9")


def test_usage_is_in_the_metrics_and_goes_with_the_replica(
    home: Home, actor: Actor, engine: FakeEngine, until: Until, ready: str, reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    engine.started[0].fake_pid = 4242
    spent = iter([1.0, 1.5, 2.0, 2.5])
    monkeypatch.setattr(
        machine, "sessions", lambda pids: {4242: machine.Spent(cpu_seconds=next(spent), memory_bytes=77)}
    )
    reconciler.sample()
    time.sleep(0.05)
    reconciler.sample()
    until(lambda: (replicas(home, actor)[0].usage.cpu_percent or 0) > 0)
    assert MEMORY.value("default", "default", "triage", "1.0") == 77
    assert CPU.value("default", "default", "triage", "1.0") > 0
    with home.begin() as uow:
        service.remove(uow, actor, name="triage")
    until(lambda: engine.alive() == [])
    reconciler.tick()
    assert not [labels for labels, _ in MEMORY.family().series if labels[2] == "triage"]


def test_measuring_goes_on_in_the_background(
    home: Home, actor: Actor, engine: FakeEngine, model: Make, reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    configure(monkeypatch, reconciler, sample_seconds=0.02)
    deploy(home, actor, model(1))
    working, stop = Reconciler(home, lambda name: engine), threading.Event()
    thread = threading.Thread(target=working.run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not any(replica.usage.running is not None for replica in replicas(home, actor)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()
    assert engine.alive() == []


def test_adapters_hold_a_model_in_place_and_outlive_other_updates(
    home: Home,
    actor: Actor,
    engine: FakeEngine,
    until: Until,
    ready: str,
    adapter: Callable[..., str],
    model: Make,
) -> None:
    ref, second = adapter(), model(2)
    with home.begin() as uow:
        operating.put_adapter(uow, actor, name="triage", adapter="legal", model=ref)
    until(lambda: live(home).get("triage:legal") == 1)
    with pytest.raises(Conflict, match="serves adapters of triage@1: legal"), home.begin() as uow:
        operating.update(uow, actor, name="triage", changes={"model": second})
    with home.begin() as uow:
        operating.update(uow, actor, name="triage", changes={"options": {"threads": 2}})
    gaps: list[int] = []

    def replaced() -> bool:
        gaps.append(live(home).get("triage:legal", 0))
        return engine.alive() == ["triage@2"] and "legal" in replicas(home, actor)[0].adapters

    until(replaced)
    assert list(engine.started[-1].adapters) == ["triage:legal"]
    assert 0 not in gaps, "a replica has its adapters before it gets traffic"


def test_an_engine_elsewhere_is_asked_only_where_penstock_may_call(
    home: Home,
    actor: Actor,
    engine: FakeEngine,
    until: Until,
    model: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "check", dict)
    ref = model(1)
    deploy(home, actor, ref, options={"url": "http://169.254.169.254/latest"})
    until(lambda: bool(replicas(home, actor)) and replicas(home, actor)[0].state is ReplicaState.FAILED)
    assert "169.254.169.254" in replicas(home, actor)[0].reason
    assert engine.launches == []
