"""Pipelines: finished steps stay finished, interrupted runs go on, failed steps are retried."""

import pytest

from penstock.core.errors import Busy, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.pipelines import service
from penstock.pipelines.model import Pipeline, RunState, StepContext


def quiet(_text: str) -> None:
    """Say nothing."""


def test_an_interrupted_run_goes_on_after_its_finished_steps(home: Home, actor: Actor) -> None:
    ran: list[str] = []

    def first(context: StepContext) -> dict[str, object]:
        ran.append("first")
        return {"seed": context.inputs["seed"]}

    def second(context: StepContext) -> dict[str, object]:
        ran.append("second")
        if ran.count("second") == 1:
            raise KeyboardInterrupt
        return {"from": context.results["first"]["seed"]}

    pipeline = Pipeline(name="p", steps=(("first", first), ("second", second)))
    with pytest.raises(KeyboardInterrupt):
        service.run(home, actor, pipeline, {"seed": 7}, say=quiet)
    run = service.run(home, actor, pipeline, {"seed": 8}, say=quiet)
    assert ran == ["first", "second", "second"]
    assert (run.state, run.number, run.inputs, run.result_of("second")) == (
        RunState.SUCCEEDED,
        1,
        {"seed": 7},
        {"from": 7},
    )


def test_a_failed_step_is_recorded_and_retried(home: Home, actor: Actor) -> None:
    attempts: list[int] = []

    def flaky(_: StepContext) -> dict[str, object]:
        attempts.append(1)
        if len(attempts) == 1:
            raise Invalid("The disk was full.")
        return {}

    pipeline = Pipeline(name="p", steps=(("flaky", flaky),))
    with pytest.raises(Invalid):
        service.run(home, actor, pipeline, {}, say=quiet)
    with home.read() as uow:
        failed = service.newest(uow, actor, pipeline="p")
    assert failed is not None
    assert (failed.state, failed.error) == (RunState.FAILED, "The disk was full.")
    assert service.run(home, actor, pipeline, {}, say=quiet).state is RunState.SUCCEEDED


def test_a_finished_run_is_followed_by_a_new_one(home: Home, actor: Actor) -> None:
    pipeline = Pipeline(name="p", steps=(("only", lambda context: {"n": context.inputs["n"]}),))
    assert service.run(home, actor, pipeline, {"n": 1}, say=quiet).number == 1
    again = service.run(home, actor, pipeline, {"n": 2}, say=quiet)
    assert (again.number, again.result_of("only")) == (2, {"n": 2})


def test_two_processes_cannot_run_one_pipeline_at_once(home: Home, actor: Actor) -> None:
    def inner(_: StepContext) -> dict[str, object]:
        with pytest.raises(Busy):
            service.run(home, actor, pipeline, {}, say=quiet)
        return {"refused": True}

    pipeline = Pipeline(name="p", steps=(("inner", inner),))
    assert service.run(home, actor, pipeline, {}, say=quiet).result_of("inner") == {"refused": True}
