"""Optimisations on a shared machine: they wait their turn, give way between variants, and keep to their GPUs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.app import policies
from penstock.core import children as core_children
from penstock.core import clock, jobs, policy
from penstock.core.errors import ChildFailed, Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.evals.suite import Suite
from penstock.optimise import cli, service
from penstock.optimise import jobs as handlers
from penstock.optimise.model import OptimiseState, Trial
from penstock.training.model import Claim, NoRoom
from penstock.training.share import service as share
from penstock.training.share import store
from tests.optimise.shop import Children, request
from tests.training import plugged

MIB = 1 << 20


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of 100 MiB."""
    policies.install()
    monkeypatch.setattr("penstock.serving.sharing.hardware.memory_bytes", lambda: 100 * MIB)
    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(share, "_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(handlers, "RETRY_SECONDS", 0.0)
    yield
    policy.clear()
    policies.install()


def train(home: Home, actor: Actor, memory: int, priority: int = 0) -> Claim:
    """Let a training run stand by its claim."""
    made = Claim(
        run_id="run_x",
        scope=actor.scope,
        priority=priority,
        memory_bytes=memory * MIB,
        since=clock.now(),
        gpus=1,
    )
    with home.begin() as uow:
        store.put_claim(uow.conn, replace(made, gpus=0), clock.now())
    return made


def leave(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        store.drop_claim(uow.conn, actor.scope, "run_x")


def claims(home: Home) -> list[str]:
    with home.read() as uow:
        return [each.run_id for each in share.standing(uow).claims]


def test_it_waits_for_a_training_run_and_says_so(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    train(home, actor, 60)
    queued = service.start(home, actor, request("gguf:q8_0", trial=Trial(memory_mb=50)))
    with pytest.raises(jobs.Postponed, match="Waiting for room on the machine: It needs 52428800 bytes"):
        jobs.run_inline(home, str(queued.job_id), handlers.HANDLERS)
    with home.read() as uow:
        shown = service.get(uow, actor, run_id=queued.id)
        job = jobs.get(uow, actor, str(queued.job_id))
    assert (shown.state, shown.started_at) == (OptimiseState.QUEUED, None)
    assert shown.reason.startswith(
        "Waiting for room on the machine: It needs 52428800 bytes of memory; 41943040"
    )
    assert (job.progress or {})["stage"] == "waiting"
    assert claims(home) == [queued.id, "run_x"]
    assert children.asked == []
    leave(home, actor)
    assert jobs.run_inline(home, str(queued.job_id), handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    with home.read() as uow:
        ended = service.get(uow, actor, run_id=queued.id)
    assert (ended.state, "Waiting" in ended.reason) == (OptimiseState.SUCCEEDED, False)
    assert claims(home) == []


def test_the_more_important_one_goes_first(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    train(home, actor, 60)
    wanted = request("gguf:q8_0", trial=Trial(memory_mb=50, priority=1))
    assert service.execute(home, actor, wanted).state is OptimiseState.SUCCEEDED
    member = replace(actor, role=Role.MEMBER)
    with pytest.raises(Denied):
        service.start(home, member, wanted)
    queued = service.start(home, actor, wanted)
    with home.read() as uow:
        assert jobs.get(uow, actor, str(queued.job_id)).priority == 1
    for wrong in ({"memory_mb": -1}, {"priority": 101}):
        with pytest.raises(Invalid):
            Trial(**wrong)


def test_it_gives_way_between_variants_and_makes_none_twice(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    heard: list[dict[str, Any]] = []

    def come(group: str, name: str, spec: dict[str, Any]) -> None:
        if spec.get("quantization") == "q8_0":
            train(home, actor, 60, priority=5)

    def hear(report: dict[str, Any]) -> None:
        heard.append(report)
        if report["stage"] == "waiting":
            leave(home, actor)

    children._then = come
    wanted = request("gguf:q8_0", "gguf:q4_1", trial=Trial(memory_mb=50))
    found = service.execute(home, actor, wanted, progress=hear)
    assert [variant.state for variant in found.variants] == ["succeeded", "succeeded"]
    assert [report["stage"] for report in heard].count("waiting") == 1
    assert children.asked.count(("exporters", "gguf")) == 2
    assert claims(home) == []


def test_who_is_cancelled_while_waiting_claims_nothing(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    train(home, actor, 60)
    queued = service.start(home, actor, request("gguf:q8_0", trial=Trial(memory_mb=50)))
    with pytest.raises(NoRoom):
        service.perform(home, actor, run_id=queued.id)
    with home.begin() as uow:
        assert service.cancel(uow, actor, run_id=queued.id).state is OptimiseState.CANCELLED
    assert claims(home) == ["run_x"]


def test_a_failure_and_an_interruption_leave_no_claim(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    def die(group: str, name: str, spec: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    children._then = die
    with pytest.raises(KeyboardInterrupt):
        service.execute(home, actor, request("gguf:q8_0"))
    assert claims(home) == []


def test_children_keep_to_the_gpus_they_were_given(
    home: Home, actor: Actor, suite: Suite, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str | None, int]] = []

    def child(group: str, name: str, *given: Any, **rest: Any) -> dict[str, Any]:
        visible = rest["environment"].get("CUDA_VISIBLE_DEVICES")
        told.append((name, visible, rest["memory_mb"]))
        return children(group, name, *given, **rest)

    monkeypatch.setattr("penstock.optimise.making.run_child", child)
    service.execute(home, actor, request("gguf:q8_0"))
    assert {visible for _, visible, _ in told} == {None}, "no GPU is shared out where there is none"
    told.clear()
    monkeypatch.setattr("penstock.serving.sharing.hardware.gpu_numbers", lambda: (0, 1))
    other = train(home, actor, 0)
    with home.begin() as uow:
        store.put_claim(uow.conn, other, clock.now())
        store.set_held(uow.conn, other, (0,))
    service.execute(home, actor, request("gguf:q4_1", trial=Trial(memory_mb=7)))
    assert {(visible, limit) for _, visible, limit in told} == {("", 7)}
    told.clear()
    service.execute(home, actor, request("tensorrt"))
    assert {visible for _, visible, _ in told} == {"1"}


def test_a_child_cannot_take_more_memory_than_its_limit(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in plugged.install(tmp_path).items():
        monkeypatch.setenv(name, value)
    spec, where = {"megabytes": 600}, tmp_path / "work"
    assert core_children.run_child("trainers", "greedy", spec, workdir=where)["size"] == 600 * MIB
    with pytest.raises(ChildFailed, match="MemoryError"):
        core_children.run_child("trainers", "greedy", spec, workdir=where, memory_mb=400)


def test_over_http_and_on_the_command_line(
    client: TestClient, home: Home, suite: Suite, children: Children
) -> None:
    fields = {"version": "triage", "to": [{"method": "gguf"}], "trial": {"memory_mb": 50, "priority": 3}}
    made = client.post("/api/v1/optimise", json=fields)
    assert (made.status_code, made.json()["trial"]["memory_mb"]) == (201, 50)
    assert client.post("/api/v1/optimise", json={**fields, "trial": {"priority": 101}}).status_code == 422
    where = ["--home", str(home.path), "--json", "--memory-mb", "60", "--priority", "-2"]
    ran = CliRunner().invoke(cli.app, ["optimise", "triage", "--to", "gguf:q8_0", *where])
    assert ran.exit_code == 0, ran.output
    assert (
        json.loads(ran.stdout)["trial"] | {"memory_mb": 60, "priority": -2} == json.loads(ran.stdout)["trial"]
    )
