"""Cancelling: before a step, in the middle of one, while it waits; by service, HTTP and command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core import jobs
from penstock.core.errors import Cancelled, Conflict, Denied, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.pipelines import attempt, cli, service
from penstock.pipelines import jobs as handlers
from penstock.pipelines.documents import parse
from penstock.pipelines.model import PipelineRun, RunState
from penstock.training import service as training
from penstock.training.model import NoRoom
from tests.pipelines.stage import QUIET, nightly
from tests.training.stage import Trainer


def shown(home: Home, actor: Actor, run_id: str) -> PipelineRun:
    with home.read() as uow:
        return service.get(uow, actor, run_id=run_id)


def cancel(home: Home, actor: Actor, run_id: str) -> None:
    with home.begin() as uow:
        service.cancel(uow, actor, run_id=run_id)


def trained(home: Home, actor: Actor) -> list[str]:
    with home.read() as uow:
        return [str(run.state) for run in training.list_runs(uow, actor)]


@pytest.mark.parametrize("place", ["training.service", "evals.child_target", "registry.export"])
@pytest.mark.parametrize("as_job", [True, False])
def test_a_step_under_way_is_stopped(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch, place: str, as_job: bool
) -> None:
    monkeypatch.setattr(attempt, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr("penstock.core.jobs.runner._THROTTLE_SECONDS", 0.0)
    monkeypatch.setattr("penstock.training.watching._LOOK_SECONDS", 0.0)
    run, job = service.start(home, actor, parse(nightly(file)), as_job=as_job)

    def child(*_: Any, cancelled: Callable[[], bool], **__: Any) -> dict[str, Any]:
        assert not cancelled()
        cancel(home, actor, run.id)
        assert cancelled()
        raise Cancelled("Its process was stopped.")

    with monkeypatch.context() as patched:
        patched.setattr(f"penstock.{place}.run_child", child)
        with pytest.raises(Cancelled):
            if job:
                jobs.run_inline(home, job, handlers.HANDLERS)
            else:
                service.perform(home, actor, run_id=run.id, hooks=QUIET)
    stopped = shown(home, actor, run.id)
    assert (stopped.state, stopped.error) == (RunState.CANCELLED, "Cancelled.")
    assert stopped.ended_at is not None
    assert trained(home, actor) == ["cancelled" if place == "training.service" else "succeeded"]
    again, job = service.resume(home, actor, run_id=run.id)
    assert again.steps == stopped.steps
    assert jobs.run_inline(home, str(job), handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    assert (shown(home, actor, run.id).state, trained(home, actor)) == (RunState.SUCCEEDED, ["succeeded"])


def test_a_run_that_is_cancelled_and_resumed_at_once_goes_on(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt that is being stopped does not cancel the one that takes over."""
    monkeypatch.setattr("penstock.core.jobs.runner._THROTTLE_SECONDS", 0.0)
    run, job = service.start(home, actor, parse(nightly(file)))
    resumed: list[str | None] = []

    def both(_spec: dict[str, Any]) -> None:
        cancel(home, actor, run.id)
        resumed.append(service.resume(home, actor, run_id=run.id)[1])
        raise Cancelled("Its process was stopped.")

    with monkeypatch.context() as patched:
        patched.setattr(training, "run_child", Trainer(both))
        with pytest.raises(Cancelled):
            jobs.run_inline(home, str(job), handlers.HANDLERS)
    assert shown(home, actor, run.id).state is RunState.WAITING
    assert jobs.run_inline(home, str(resumed[0]), handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    assert shown(home, actor, run.id).state is RunState.SUCCEEDED


def test_a_run_that_waits_is_cancelled_with_its_training_run(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, job = service.start(home, actor, parse(nightly(file)))

    def full(*_: Any, **__: Any) -> None:
        raise NoRoom("It needs more.")

    with monkeypatch.context() as patched:
        patched.setattr(training, "run_child", full)
        with pytest.raises(jobs.Postponed):
            jobs.run_inline(home, str(job), handlers.HANDLERS)
    assert trained(home, actor) == ["queued"]
    cancel(home, actor, run.id)
    assert (shown(home, actor, run.id).state, trained(home, actor)) == (RunState.CANCELLED, ["cancelled"])
    with home.read() as uow:
        assert jobs.get(uow, actor, str(job)).state is jobs.JobState.CANCELLED
    with pytest.raises(Conflict, match="ended already"), home.begin() as uow:
        service.cancel(uow, actor, run_id=run.id)
    with pytest.raises(NotFound), home.begin() as uow:
        service.cancel(uow, actor, run_id="pip_none")
    viewer = Actor(id=actor.id, name="v", role=Role.VIEWER, scope=actor.scope)
    with pytest.raises(Denied), home.begin() as uow:
        service.cancel(uow, viewer, run_id=run.id)


def test_over_http_and_on_the_command_line(client: TestClient, home: Home, actor: Actor, file: Path) -> None:
    run = client.post("/api/v1/pipelines/runs", json={"document": nightly(file)}).json()["run"]
    where = f"/api/v1/pipelines/runs/{run['id']}"
    cancelled = client.post(f"{where}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert client.post(f"{where}/cancel").status_code == 409
    resumed = client.post(f"{where}/resume")
    assert (resumed.status_code, resumed.json()["run"]["state"]) == (202, "waiting")
    runner, at = CliRunner(), ["--json", "--home", str(home.path)]
    stopped = runner.invoke(cli.app, ["cancel", run["id"], *at])
    assert json.loads(stopped.stdout)["state"] == "cancelled", stopped.output
    ended = runner.invoke(cli.app, ["resume", run["id"], *at])
    assert json.loads(ended.stdout)["state"] == "succeeded", ended.output
