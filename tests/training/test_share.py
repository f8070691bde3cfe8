"""Training runs and deployments on one machine: who goes on, who waits, who gives way, and how it goes on then."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.app import policies
from penstock.core import clock, jobs, policy
from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.serving import planning
from penstock.serving import store as serving
from penstock.serving.model import Policy, Quota, Replica, ReplicaState
from penstock.training import cli, registering, service
from penstock.training import jobs as handlers
from penstock.training.model import RunState
from penstock.training.recipe import Recipe
from penstock.training.share import service as share
from penstock.training.share import store
from penstock.training.share.model import Claim, Claims, NoRoom, TrainingQuota
from tests.serving.test_planning import DEFAULT, START, deployment, names, one, version
from tests.training.stage import Trainer, furnish, recipe

MIB = 1 << 20
OTHERS = Scope("default", "others")


def claim(
    name: str, memory: int, *, priority: int = 0, after: int = 0, scope: Scope = DEFAULT, **more: Any
) -> Claim:
    since = START + timedelta(seconds=after)
    return Claim(run_id=name, scope=scope, priority=priority, memory_bytes=memory, since=since, **more)


def planned(
    replicas: list[Any],
    claims: list[Claim],
    *,
    memory: int = 10,
    runs: int | None = None,
    gpus: int = 0,
    held: dict[Any, tuple[int, ...]] | None = None,
    quota_gpus: int | None = None,
    **quota: Any,
) -> planning.Plan:
    limits = Quota(gpus=quota_gpus, **quota)
    training = Claims(claims=claims, quotas={Scope(): TrainingQuota(runs=runs)})
    machine = planning.Machine(memory_bytes=memory, gpus=tuple(range(gpus)))
    return planning.plan(replicas, machine, {Scope(): limits}, held or {}, training)


def test_of_equals_a_replica_comes_before_a_run_and_an_older_run_before_a_newer_one() -> None:
    found = planned(
        [one("a", memory=6)], [claim("late", 3, after=5), claim("early", 3), claim("small", 1, after=9)]
    )
    assert names(found) == ["a"]
    assert found.waiting == {"late": "It needs 3 bytes of memory; 1 are free on this machine."}


def test_who_matters_more_gets_the_memory() -> None:
    found = planned([one("a", memory=6)], [claim("run", 6, priority=1), claim("free", 0)])
    assert (names(found), found.waiting) == ([], {})
    found = planned([one("a", memory=6, priority=2)], [claim("run", 6, priority=1)])
    assert (names(found), list(found.waiting)) == (["a"], ["run"])


def test_a_projects_quota_counts_both() -> None:
    replicas, runs = [one("a", memory=4)], [claim("run", 4), claim("other", 4, scope=OTHERS)]
    found = planned(replicas, runs, memory=100, memory_bytes=7)
    assert found.waiting == {"run": "The project's quota is 7 bytes of memory; this would make 8."}
    found = planned([], [claim("1", 0), claim("2", 0, after=1), claim("3", 0, scope=OTHERS)], runs=1)
    assert found.waiting == {"2": "The project's quota is 1 training runs at once."}


def test_a_run_gets_gpus_that_nobody_has() -> None:
    wanted = [claim("a", 0, processes=2, gpus=None), claim("b", 0, gpus=1, after=1), claim("cpu", 0)]
    found = planned([one("d", gpus=1)], wanted, gpus=4, held={("d", 1, 0): (2,)})
    assert (found.run_gpus, found.waiting) == ({"a": (0, 1), "b": (3,), "cpu": ()}, {})
    assert found.gpus == {("d", 1, 0): (2,)}


def test_a_run_without_enough_gpus_waits_and_one_on_the_cpu_does_not() -> None:
    found = planned([one("d", gpus=1)], [claim("a", 0, processes=2, gpus=None), claim("b", 0)], gpus=2)
    assert found.waiting == {"a": "It needs 2 GPUs; 1 are free on this machine."}
    found = planned([], [claim("auto", 0, gpus=None), claim("asks", 0, gpus=1)])
    assert found.run_gpus == {"auto": None}, "a machine without GPUs gives none out"
    assert found.waiting == {"asks": "It needs 1 GPUs; 0 are free on this machine."}


def test_gpus_of_runs_count_in_the_projects_quota() -> None:
    found = planned([one("d", gpus=1)], [claim("a", 0, gpus=1)], gpus=4, quota_gpus=1)
    assert found.waiting == {"a": "The project's quota is 1 GPUs; this would make 2."}


def test_a_run_keeps_its_gpus_until_somebody_before_it_needs_them() -> None:
    old = claim("old", 0, gpus=1, after=9, held=(1,))
    found = planned([], [old, claim("new", 0, gpus=1)], gpus=2)
    assert found.run_gpus == {"new": (0,), "old": (1,)}
    found = planned([], [old, claim("new", 0, gpus=2, priority=1)], gpus=2)
    assert found.waiting == {
        "new": "It waits until GPU 1 is given back.",
        "old": "It needs 1 GPUs; 0 are free on this machine.",
    }
    found = planned([one("d", gpus=1)], [old], gpus=2)
    assert (found.gpus, found.run_gpus) == ({("d", 1, 0): (0,)}, {"old": (1,)})


@pytest.fixture
def trainer(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    """Yield a scripted trainer on a machine of 100 MiB."""
    policies.install()
    monkeypatch.setattr("penstock.serving.sharing.hardware.memory_bytes", lambda: 100 * MIB)
    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(share, "_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(handlers, "RETRY_SECONDS", 0.0)
    furnish(home, actor, tmp_path)
    scripted = Trainer()
    monkeypatch.setattr(service, "run_child", scripted)
    yield scripted
    policy.clear()
    policies.install()


def sized(memory_mb: int, priority: int = 0) -> Recipe:
    return recipe(running={"memory_mb": memory_mb, "priority": priority})


def serve(home: Home, scope: Scope, memory: int, priority: int = 0, gpus: tuple[int, ...] = ()) -> None:
    """Put a deployment with one replica in the tables, as the reconciler leaves it."""
    made = replace(deployment("triage", policy=Policy(priority=priority)), created_at=clock.now())
    with home.begin() as uow:
        serving.save(uow.conn, scope, made)
        serving.insert_version(uow.conn, made.id, version(1, memory=memory * MIB, gpus=len(gpus)))
        ready = Replica(number=1, position=0, state=ReplicaState.READY, since=clock.now(), gpus=gpus)
        serving.save_replica(uow.conn, made.id, ready)


def claims(home: Home) -> list[str]:
    with home.read() as uow:
        return [each.run_id for each in share.standing(uow).claims]


def test_a_run_waits_for_a_deployment_and_then_goes_on(home: Home, actor: Actor, trainer: Trainer) -> None:
    serve(home, actor.scope, 60)
    run = service.start(home, actor, sized(50))
    with pytest.raises(NoRoom, match=r"needs 52428800 bytes of memory; 41943040 are free"):
        service.perform(home, actor, run_id=run.id)
    with pytest.raises(jobs.Postponed):
        jobs.run_inline(home, str(run.job_id), handlers.HANDLERS)
    with home.read() as uow:
        shown = service.get(uow, actor, run_id=run.id)
        job = jobs.get(uow, actor, str(run.job_id))
    assert (shown.state, shown.progress["stage"]) == (RunState.QUEUED, "waiting")
    assert "are free on this machine" in shown.progress["reason"]
    assert (job.state, job.attempts) == (jobs.JobState.QUEUED, 0)
    assert claims(home) == [run.id]
    with home.begin() as uow:
        serving.delete_replica(uow.conn, "triage", 1, 0)
    assert jobs.run_inline(home, str(run.job_id), handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    with home.read() as uow:
        ended = service.get(uow, actor, run_id=run.id)
    assert (ended.state, "reason" in ended.progress) == (RunState.SUCCEEDED, False)
    assert claims(home) == []


def test_the_more_important_run_starts_at_once(home: Home, actor: Actor, trainer: Trainer) -> None:
    serve(home, actor.scope, 60)
    assert service.execute(home, actor, sized(50, priority=1)).state is RunState.SUCCEEDED


def test_a_run_gives_way_keeps_its_place_and_goes_on(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployment comes while the run goes on; in the foreground it waits and begins again by itself."""
    heard: list[dict[str, Any]] = []
    rounds: list[bool] = []

    def child(*given: Any, control: Any, **rest: Any) -> dict[str, Any]:
        if rounds:
            rounds.append(control.paused())
            return trainer(*given, **rest)
        assert not control.paused()
        serve(home, actor.scope, 60)
        rounds.append(control.paused())
        return {"paused": True, "step": 3}

    def hear(report: dict[str, Any]) -> None:
        heard.append(report)
        if report["stage"] == "waiting" and len(heard) == 3:
            with home.begin() as uow:
                serving.delete_replica(uow.conn, "triage", 1, 0)

    monkeypatch.setattr(service, "run_child", child)
    run = service.execute(home, actor, sized(50), progress=hear)
    assert run.state is RunState.SUCCEEDED
    assert rounds == [True, False]
    assert [report["stage"] for report in heard[:3]] == ["waiting"] * 3
    assert "are free on this machine" in heard[0]["reason"]


def test_a_run_stands_by_its_place_while_its_checkpoint_is_judged(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def child(*given: Any, cancelled: Any, **rest: Any) -> dict[str, Any]:
        (mine,) = claims(home)
        with home.begin() as uow:
            store.drop_claim(uow.conn, actor.scope, mine)
        assert not cancelled()  # all that a judge asks, as long as it takes
        seen.append(claims(home))
        return trainer(*given, **rest)

    monkeypatch.setattr(service, "run_child", child)
    run = service.execute(home, actor, sized(50))
    assert seen == [[run.id]]


def test_a_run_stands_by_its_place_while_it_registers(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large model takes minutes to store, and nobody asks for the place meanwhile."""
    monkeypatch.setattr(share, "RENEW_SECONDS", 0.01)
    register, seen = registering.register, []

    def slow(*given: Any, **rest: Any) -> Any:
        (mine,) = claims(home)
        lapsing = clock.now() - timedelta(seconds=share.SEEN_SECONDS - 5)
        with home.begin() as uow:
            (held,) = share.standing(uow).claims
            store.stand_by(uow.conn, held, lapsing)
        deadline = time.monotonic() + 60
        while not seen:
            with home.read() as uow:
                seen.extend(store.list_claims(uow.conn, lapsing + timedelta(seconds=1)))
            assert time.monotonic() < deadline, "the claim was not renewed"
        assert seen[0].run_id == mine
        return register(*given, **rest)

    monkeypatch.setattr(registering, "register", slow)
    assert service.execute(home, actor, sized(50)).state is RunState.SUCCEEDED
    assert claims(home) == []


def test_a_claim_that_was_dropped_does_not_come_back(home: Home, actor: Actor, trainer: Trainer) -> None:
    gone = claim("run_gone", 90 * MIB)
    with home.begin() as uow:
        store.stand_by(uow.conn, gone, clock.now())
    assert claims(home) == []


def test_a_waiting_run_is_cancelled_at_once_and_leaves_no_claim(
    home: Home, actor: Actor, trainer: Trainer
) -> None:
    serve(home, actor.scope, 60)
    run = service.start(home, actor, sized(50))
    with pytest.raises(NoRoom):
        service.perform(home, actor, run_id=run.id)
    with home.begin() as uow:
        assert service.cancel(uow, actor, run_id=run.id).state is RunState.CANCELLED
    assert claims(home) == []


def test_a_claim_that_nobody_stands_by_is_void(home: Home, actor: Actor, trainer: Trainer) -> None:
    gone = claim("run_gone", 90 * MIB, priority=5)
    long_ago = clock.now() - timedelta(seconds=share.SEEN_SECONDS + 1)
    with home.begin() as uow:
        store.put_claim(uow.conn, gone, long_ago)
    assert service.execute(home, actor, sized(50)).state is RunState.SUCCEEDED
    with home.begin() as uow:
        store.put_claim(uow.conn, gone, clock.now())
    run = service.start(home, actor, sized(50))
    with pytest.raises(NoRoom):
        service.perform(home, actor, run_id=run.id)


def test_only_an_admin_lets_others_give_way(home: Home, actor: Actor, trainer: Trainer) -> None:
    member = Actor(id="m", name="m", role=Role.MEMBER)
    with pytest.raises(Denied):
        service.start(home, member, sized(0, priority=1))
    assert service.start(home, member, sized(0, priority=-1)).state is RunState.QUEUED
    with pytest.raises(Invalid, match="between -100 and 100"):
        sized(0, priority=101)
    with home.begin() as uow, pytest.raises(Denied):
        share.set_quota(uow, member, TrainingQuota(runs=1))
    with pytest.raises(Invalid):
        TrainingQuota(runs=-1)


def test_the_quota_over_http_and_on_the_command_line(client: TestClient, home: Home) -> None:
    assert client.get("/api/v1/training/quota").json() == {"runs": None}
    assert client.put("/api/v1/training/quota", json={"runs": 2}).json() == {"runs": 2}
    assert client.put("/api/v1/training/quota", json={"runs": -2}).status_code == 422
    runner, where = CliRunner(), ["--home", str(home.path)]
    assert json.loads(runner.invoke(cli.app, ["quota", "--json", *where]).stdout) == {"runs": 2}
    assert runner.invoke(cli.app, ["quota", "--runs", "1", *where]).stdout.strip() == "1 at once"
    assert runner.invoke(cli.app, ["quota", "--clear", *where]).stdout.strip() == "no limit"
    assert client.get("/api/v1/training/quota").json() == {"runs": None}


Environment = dict[str, str]


def watch(monkeypatch: pytest.MonkeyPatch, trainer: Trainer, numbers: tuple[int, ...]) -> list[Environment]:
    """Pretend that the machine has those GPUs; returns what the children of runs are told, as they start."""
    told: list[Environment] = []

    def child(*given: Any, environment: Environment, **rest: Any) -> dict[str, Any]:
        told.append({name: value for name, value in environment.items() if name.startswith("CUDA_")})
        return trainer(*given, **rest)

    monkeypatch.setattr(service, "run_child", child)
    monkeypatch.setattr("penstock.serving.sharing.hardware.gpu_numbers", lambda: numbers)
    return told


def test_a_run_sees_only_the_gpus_it_was_given(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = watch(monkeypatch, trainer, (0, 1, 2))
    serve(home, actor.scope, 1, gpus=(0,))
    service.execute(home, actor, recipe())
    service.execute(home, actor, recipe(running={"gpus": 2}))
    service.execute(home, actor, recipe(running={"gpus": 0}))
    assert told == [
        {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        {"CUDA_VISIBLE_DEVICES": "1,2", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        {"CUDA_VISIBLE_DEVICES": "", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
    ]


def test_two_runs_have_no_gpu_in_common_and_a_third_waits(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = watch(monkeypatch, trainer, (0, 1))
    third: list[str] = []

    def second(_spec: dict[str, Any]) -> None:
        if len(told) == 1:
            service.execute(home, actor, recipe(seed=2))
        else:
            waits = service.start(home, actor, recipe(seed=3))
            with pytest.raises(NoRoom) as full:
                service.perform(home, actor, run_id=waits.id)
            third.append(full.value.message)

    trainer._then = second
    service.execute(home, actor, recipe(seed=1))
    assert [each["CUDA_VISIBLE_DEVICES"] for each in told] == ["0", "1"]
    assert third == ["It needs 1 GPUs; 0 are free on this machine."]
    with home.read() as uow:
        assert [each.held for each in share.standing(uow).claims] == [None], "who waits holds nothing"


def test_where_there_is_no_gpu_nothing_is_hidden(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = watch(monkeypatch, trainer, ())
    service.execute(home, actor, recipe())
    assert told == [{}]


def test_a_run_gives_its_gpu_to_a_more_important_deployment(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(monkeypatch, trainer, (0,))
    pauses: list[bool] = []

    def child(*_: Any, control: Any, **__: Any) -> dict[str, Any]:
        serve(home, actor.scope, 1, priority=1, gpus=(0,))
        pauses.append(control.paused())
        return {"paused": True, "step": 3}

    monkeypatch.setattr(service, "run_child", child)
    run = service.start(home, actor, recipe())
    with pytest.raises(NoRoom, match="It needs 1 GPUs; 0 are free"):
        service.perform(home, actor, run_id=run.id)
    assert pauses == [True]


def test_the_more_important_run_is_taken_first(home: Home, actor: Actor, trainer: Trainer) -> None:
    order = [
        service.start(home, actor, recipe(seed=number, running={"priority": priority}))
        for number, priority in enumerate((0, -1, 7, 0, 7))
    ]
    worker = jobs.Worker(home, handlers.HANDLERS)
    while worker.tick():
        pass
    taken = [spec["seed"] for spec in trainer.specs]
    assert taken == [2, 4, 0, 3, 1]
    assert len(order) == len(taken)


def test_a_run_that_found_no_room_keeps_its_place(home: Home, actor: Actor, trainer: Trainer) -> None:
    serve(home, actor.scope, 60)
    first = service.start(home, actor, recipe(seed=1, running={"memory_mb": 50}))
    worker = jobs.Worker(home, handlers.HANDLERS)
    worker.tick()
    service.start(home, actor, recipe(seed=2, running={"memory_mb": 50}))
    with home.begin() as uow:
        serving.delete_replica(uow.conn, "triage", 1, 0)
        assert service.get(uow, actor, run_id=first.id).state is RunState.QUEUED
    while worker.tick():
        pass
    assert [spec["seed"] for spec in trainer.specs] == [1, 2]
