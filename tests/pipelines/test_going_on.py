"""Runs that wait give their worker back; those that are stopped or killed are taken up again where they were."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.core import clock, jobs
from penstock.core.errors import Busy, Cancelled, ChildFailed, Conflict, Invalid
from penstock.core.home import Home, exclusive
from penstock.core.jobs import runner
from penstock.core.scope import Actor
from penstock.pipelines import jobs as handlers
from penstock.pipelines import kinds, service
from penstock.pipelines.attempt import Waits
from penstock.pipelines.documents import parse
from penstock.pipelines.model import PipelineRun, RunState
from penstock.training import service as training
from penstock.training.model import Claim
from penstock.training.share import store as claims
from tests.dying import die, wear_out
from tests.pipelines.stage import QUIET, nightly
from tests.training.stage import Trainer

MIB = 1 << 20


def shown(home: Home, actor: Actor, run_id: str) -> PipelineRun:
    with home.read() as uow:
        return service.get(uow, actor, run_id=run_id)


def queued(home: Home, actor: Actor, values: Any) -> tuple[str, str]:
    run, job = service.start(home, actor, parse(values))
    return run.id, str(job)


def claimed(home: Home, actor: Actor) -> None:
    """Let somebody's training take 60 MiB of the machine."""
    claim = Claim(
        run_id="run_x", scope=actor.scope, priority=5, memory_bytes=60 * MIB, since=clock.now(), gpus=0
    )
    with home.begin() as uow:
        claims.put_claim(uow.conn, claim, clock.now())


def needing(file: Path, name: str) -> dict[str, Any]:
    """Return the pipeline whose training needs 50 MiB."""
    values = nightly(file)
    recipe = {**values["steps"][1]["train"]["recipe"], "running": {"memory_mb": 50}}
    values["steps"][1] = {"train": {"recipe": recipe}}
    return {**values, "name": name}


@pytest.fixture
def small(home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 100 MiB, of which 60 are taken; nobody may sit a wait out."""
    monkeypatch.setattr("penstock.serving.sharing.hardware.memory_bytes", lambda: 100 * MIB)
    monkeypatch.setattr("penstock.training.share.service._LOOK_SECONDS", 0.0)

    def sat_out(*_: Any) -> None:
        raise AssertionError("A job sat out the wait for room and kept its worker.")

    monkeypatch.setattr(training, "once_there_is_room", sat_out)
    claimed(home, actor)


def test_runs_that_wait_for_room_leave_the_worker_to_others(
    home: Home, actor: Actor, file: Path, small: None
) -> None:
    ran: list[str] = []

    def other(ctx: jobs.JobContext) -> dict[str, Any]:
        ran.append(ctx.job.id)
        return {}

    waiting = [queued(home, actor, needing(file, name)) for name in ("first", "second")]
    with home.begin() as uow:
        job = jobs.enqueue(uow, actor, "other", {})
    worker = jobs.Worker(home, {**handlers.HANDLERS, "other": other})
    assert [worker.tick() for _ in range(3)] == [True] * 3
    assert ran == [job.id]
    before = [shown(home, actor, run_id) for run_id, _ in waiting]
    for run in before:
        assert (run.state, [step.name for step in run.steps]) == (RunState.WAITING, ["data"])
        assert "Waiting for room on the machine: It needs 52428800 bytes" in str(run.reason)
    with home.begin() as uow:
        claims.drop_claim(uow.conn, actor.scope, "run_x")
    file.unlink()
    for (run_id, job_id), run in zip(waiting, before, strict=True):
        ended = jobs.run_inline(home, job_id, handlers.HANDLERS)
        assert (ended.state, ended.attempts) == (jobs.JobState.SUCCEEDED, 1)
        after = shown(home, actor, run_id)
        assert (after.state, after.reason, after.steps[0]) == (RunState.SUCCEEDED, None, run.steps[0])
    with home.read() as uow:
        assert len(training.list_runs(uow, actor)) == 2, "each went on with its own training run"


def test_a_run_whose_workers_die_again_and_again_fails_and_may_be_resumed(
    home: Home, actor: Actor, file: Path
) -> None:
    run_id, job_id = queued(home, actor, nightly(file))
    reason = wear_out(home, job_id, {service.JOB_KIND: die})
    failed = shown(home, actor, run_id)
    assert (failed.state, failed.error) == (RunState.FAILED, reason)
    assert failed.ended_at is not None
    again, job = service.resume(home, actor, run_id=run_id)
    with home.begin() as uow:
        service.give_up(uow, actor, run_id=run_id, error="told late")
    assert again.id == run_id and job != job_id
    assert shown(home, actor, run_id).state is RunState.WAITING


def stopped_in(stop: threading.Event, error: Exception) -> Callable[..., Any]:
    def child(*_: Any, cancelled: Callable[[], bool], **__: Any) -> dict[str, Any]:
        stop.set()
        assert cancelled()
        raise error

    return child


@pytest.mark.parametrize(
    ("place", "error", "finished"),
    [
        ("training.service", Cancelled("The run was cancelled."), ["data"]),
        ("evals.child_target", ChildFailed("The gateway was gone."), ["data", "train"]),
        ("registry.export", Cancelled("It was cancelled."), ["data", "train", "judge"]),
    ],
)
def test_a_server_that_stops_leaves_the_run_to_the_next_one(
    home: Home,
    actor: Actor,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    error: Exception,
    finished: list[str],
) -> None:
    run_id, _ = queued(home, actor, nightly(file))
    stop = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(f"penstock.{place}.run_child", stopped_in(stop, error))
        jobs.Worker(home, handlers.HANDLERS).run(stop)
    left = shown(home, actor, run_id)
    assert (left.state, [step.name for step in left.steps]) == (RunState.WAITING, finished)
    assert (left.error, left.ended_at) == (None, None)
    assert "goes on when it is back" in str(left.reason)
    with home.read() as uow:
        assert training.list_runs(uow, actor)[0].state in ("queued", "succeeded")
    assert jobs.Worker(home, handlers.HANDLERS).tick()
    after = shown(home, actor, run_id)
    assert (after.state, after.steps[: len(finished)]) == (RunState.SUCCEEDED, left.steps)
    with home.read() as uow:
        assert len(training.list_runs(uow, actor)) == 1


class Killed(BaseException):
    """The process is gone."""


def test_a_killed_server_leaves_the_run_to_the_next_one(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, _ = queued(home, actor, nightly(file))

    def die(_spec: dict[str, Any]) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(training, "run_child", Trainer(die))
        with pytest.raises(Killed):
            jobs.Worker(home, handlers.HANDLERS).tick()
    left = shown(home, actor, run_id)
    assert (left.state, [step.name for step in left.steps]) == (RunState.RUNNING, ["data"])
    with clock.frozen(clock.now() + timedelta(seconds=2 * runner.LEASE_SECONDS)):
        assert jobs.Worker(home, handlers.HANDLERS).tick()
    after = shown(home, actor, run_id)
    assert (after.state, after.steps[0]) == (RunState.SUCCEEDED, left.steps[0])
    with home.read() as uow:
        assert len(training.list_runs(uow, actor)) == 1


def test_an_unfinished_run_goes_on_with_the_steps_it_began_with(
    home: Home, actor: Actor, file: Path, small: None
) -> None:
    older, older_job = queued(home, actor, needing(file, "nightly"))
    with pytest.raises(jobs.Postponed):
        jobs.run_inline(home, older_job, handlers.HANDLERS)
    newer, newer_job = queued(home, actor, nightly(file, gate=[{"metric": "exact", "min": 0.1}]))
    assert (newer != older, shown(home, actor, newer).number) == (True, 2)
    assert jobs.run_inline(home, newer_job, handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    with home.begin() as uow:
        claims.drop_claim(uow.conn, actor.scope, "run_x")
    assert jobs.run_inline(home, older_job, handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    done = shown(home, actor, older)
    assert (done.state, done.number) == (RunState.SUCCEEDED, 1)
    with home.read() as uow:
        trained = training.get(uow, actor, run_id=done.result_of("train")["run"])
    assert trained.recipe["running"]["memory_mb"] == 50


def test_starting_again_queues_no_second_job(home: Home, actor: Actor, file: Path) -> None:
    first = queued(home, actor, nightly(file))
    assert queued(home, actor, nightly(file)) == first


def test_a_run_waits_for_another_of_its_pipeline(home: Home, actor: Actor, file: Path) -> None:
    run_id, job = queued(home, actor, nightly(file))
    with exclusive(service.lock_of(home, actor, "nightly")):
        with pytest.raises(jobs.Postponed, match="another run of nightly"):
            jobs.run_inline(home, job, handlers.HANDLERS)
        assert shown(home, actor, run_id).reason == "Waiting for another run of nightly."
        with pytest.raises(Busy):
            service.perform(home, actor, run_id=run_id, hooks=QUIET)
        with pytest.raises(Waits):
            service.perform(home, actor, run_id=run_id, hooks=replace(QUIET, patient=False))
    assert jobs.run_inline(home, job, handlers.HANDLERS).state is jobs.JobState.SUCCEEDED


def test_a_step_whose_training_run_another_process_has_is_tried_again(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(_spec: dict[str, Any]) -> None:
        raise Busy("Another process holds run.lock.")

    run_id, job = queued(home, actor, nightly(file))
    with monkeypatch.context() as patched:
        patched.setattr(training, "run_child", Trainer(held))
        with pytest.raises(jobs.Postponed):
            jobs.run_inline(home, job, handlers.HANDLERS)
    left = shown(home, actor, run_id)
    assert (left.state, left.reason) == (
        RunState.WAITING,
        "Waiting for another process: Another process holds run.lock.",
    )
    assert jobs.run_inline(home, job, handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    assert shown(home, actor, run_id).state is RunState.SUCCEEDED


def test_steps_that_are_no_longer_known_say_what_to_do(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, job = queued(home, actor, nightly(file))
    monkeypatch.delitem(kinds.KINDS, "stage")
    with pytest.raises(Invalid, match="cannot be done any more"):
        jobs.run_inline(home, job, handlers.HANDLERS)
    failed = shown(home, actor, run_id)
    assert failed.state is RunState.FAILED
    assert str(failed.error).endswith("Start the pipeline anew, with --fresh.")


def test_a_failed_run_is_resumed_by_its_id(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_spec: dict[str, Any]) -> None:
        raise ChildFailed("no")

    run_id, job = queued(home, actor, nightly(file))
    with monkeypatch.context() as patched:
        patched.setattr(training, "run_child", Trainer(die))
        with pytest.raises(ChildFailed):
            jobs.run_inline(home, job, handlers.HANDLERS)
    assert shown(home, actor, run_id).ended_at is not None
    again, job = service.resume(home, actor, run_id=run_id)
    assert (again.id, again.state, again.error, again.ended_at) == (run_id, RunState.WAITING, None, None)
    assert jobs.run_inline(home, str(job), handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    assert shown(home, actor, run_id).state is RunState.SUCCEEDED
    with pytest.raises(Conflict):
        service.resume(home, actor, run_id=run_id)
