"""Durable jobs: steps run once, killed workers are replaced, errors are data."""

from datetime import timedelta

import pytest

from penstock.core import clock, jobs
from penstock.core.errors import Cancelled, Conflict, Invalid
from penstock.core.events import Dispatcher, Envelope
from penstock.core.home import Home
from penstock.core.jobs import JobGivenUp, runner
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork


def queue(home: Home, actor: Actor, kind: str = "work", key: str | None = None) -> jobs.Job:
    with home.begin() as uow:
        return jobs.enqueue(uow, actor, kind, {"n": 1}, key=key)


def test_a_job_with_a_key_exists_once(home: Home, actor: Actor) -> None:
    first, second = queue(home, actor, key="same"), queue(home, actor, key="same")
    assert first.id == second.id


def test_finished_steps_are_not_run_again_after_a_worker_dies(home: Home, actor: Actor) -> None:
    job, runs = queue(home, actor), []

    class Died(BaseException):
        """Stands for kill -9: nothing of the worker's own code runs after it."""

    def handler(context: jobs.JobContext) -> dict[str, object]:
        first = context.step("first", lambda: runs.append("first") or 1)
        if len(runs) == 1:
            runs.append("died")
            raise Died
        return {"first": first, "second": context.step("second", lambda: runs.append("second") or 2)}

    start = clock.now()
    with clock.frozen(start), pytest.raises(Died):
        jobs.Worker(home, {"work": handler}).tick()
    with clock.frozen(start + timedelta(seconds=1)):
        assert not jobs.Worker(home, {"work": handler}).tick(), "the lease still holds"
    with clock.frozen(start + timedelta(seconds=runner.LEASE_SECONDS + 1)):
        assert jobs.Worker(home, {"work": handler}).tick()
    with home.read() as uow:
        ended = jobs.get(uow, actor, job.id)
    assert (ended.state, ended.result) == ("succeeded", {"first": 1, "second": 2})
    assert runs == ["first", "died", "second"]


def test_a_failing_job_keeps_its_error_and_the_worker_lives(home: Home, actor: Actor) -> None:
    job = queue(home, actor)

    def handler(_: jobs.JobContext) -> dict[str, object]:
        raise Invalid("The file has no rows.")

    assert jobs.Worker(home, {"work": handler}).tick()
    with home.read() as uow:
        ended = jobs.get(uow, actor, job.id)
    assert (ended.state, ended.error) == ("failed", "The file has no rows.")


def test_cancel_stops_a_running_job_and_refuses_an_ended_one(home: Home, actor: Actor) -> None:
    job = queue(home, actor)

    def handler(context: jobs.JobContext) -> dict[str, object]:
        with home.begin() as uow:
            jobs.cancel(uow, actor, job.id)
        context.check_cancelled()
        return {}

    with pytest.raises(Cancelled):
        jobs.run_inline(home, job.id, {"work": handler})
    with home.begin() as uow, pytest.raises(Conflict):
        jobs.cancel(uow, actor, job.id)


def test_a_job_whose_workers_die_again_and_again_is_given_up_and_said_so(home: Home, actor: Actor) -> None:
    job, moment = queue(home, actor), clock.now()

    def die(_: jobs.JobContext) -> dict[str, object]:
        raise KeyboardInterrupt

    for _ in range(runner.MAX_ATTEMPTS):
        with clock.frozen(moment), pytest.raises(KeyboardInterrupt):
            jobs.Worker(home, {"work": die}).tick()
        moment += timedelta(seconds=runner.LEASE_SECONDS + 1)
    heard: list[dict[str, object]] = []

    def hear(_uow: UnitOfWork, envelope: Envelope) -> None:
        heard.append(envelope.data)

    with clock.frozen(moment):
        assert jobs.Worker(home, {"work": die}).tick()
        assert not jobs.Worker(home, {"work": die}).tick()
        Dispatcher(home, {JobGivenUp.name: (hear,)}).tick()
    with home.read() as uow:
        ended = jobs.get(uow, actor, job.id)
    assert (ended.state, ended.attempts) == ("failed", runner.MAX_ATTEMPTS + 1)
    assert heard == [{"job_id": job.id, "kind": "work", "spec": {"n": 1}, "error": ended.error}]
