"""Training runs and deployments on one machine: who goes on, who waits, who gives way, and how it goes on then."""

import json
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
from penstock.training import cli, service
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


def claim(name: str, memory: int, *, priority: int = 0, after: int = 0, scope: Scope = DEFAULT) -> Claim:
    since = START + timedelta(seconds=after)
    return Claim(run_id=name, scope=scope, priority=priority, memory_bytes=memory, since=since)


def planned(
    replicas: list[Any], claims: list[Claim], *, memory: int = 10, runs: int | None = None, **quota: Any
) -> planning.Plan:
    quotas = {Scope(): Quota(**quota)} if quota else {}
    training = Claims(claims=claims, quotas={Scope(): TrainingQuota(runs=runs)})
    return planning.plan(replicas, planning.Machine(memory_bytes=memory), quotas, {}, training)


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


@pytest.fixture
def trainer(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    """Yield a scripted trainer on a machine of 100 MiB."""
    policies.install()
    monkeypatch.setattr("penstock.serving.sharing.hardware.memory_bytes", lambda: 100 * MIB)
    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(service, "_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(handlers, "RETRY_SECONDS", 0.0)
    furnish(home, actor, tmp_path)
    scripted = Trainer()
    monkeypatch.setattr(service, "run_child", scripted)
    yield scripted
    policy.clear()
    policies.install()


def sized(memory_mb: int, priority: int = 0) -> Recipe:
    return recipe(running={"memory_mb": memory_mb, "priority": priority})


def serve(home: Home, scope: Scope, memory: int, priority: int = 0) -> None:
    """Put a deployment with one replica in the tables, as the reconciler leaves it."""
    made = replace(deployment("triage", policy=Policy(priority=priority)), created_at=clock.now())
    with home.begin() as uow:
        serving.save(uow.conn, scope, made)
        serving.insert_version(uow.conn, made.id, version(1, memory=memory * MIB))
        ready = Replica(number=1, position=0, state=ReplicaState.READY, since=clock.now())
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
