"""What a run made is evaluated by its recipe's suite, and so is whatever is exported from it; nothing else counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.app import policies
from penstock.app.work import SUBSCRIBERS
from penstock.core import jobs
from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.events import Dispatcher
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals import service as evals
from penstock.evals.suites import service as suites
from penstock.optimise import service as optimising
from penstock.registry import service as registry
from penstock.registry import stage_service
from penstock.registry.export import export
from penstock.registry.model import Stage
from penstock.training import jobs as handlers
from penstock.training import repeating, service
from penstock.training.recipe import Recipe
from tests.evals.support import ingest, make_suite
from tests.optimise.shop import Children, request
from tests.registry.folders import base_folder
from tests.training.stage import Trainer, recipe

MODEL = {"base": "base@1", "dataset": "tickets", "columns": {}}


@pytest.fixture
def judged(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe whose result the stored suite `triage` judges; no process is started."""
    policies.install()
    registry.register(home, actor, name="base", folder=base_folder(tmp_path / "base"), kind="base")
    suite = replace(make_suite(ingest(home, actor, 60)), target={"kind": "model", "max_tokens": 9})
    with home.begin() as uow:
        suites.put(uow, actor, name="triage", suite=suite)
    children = Children()
    monkeypatch.setattr(service, "run_child", Trainer())
    for module in ("registry.export", "optimise.making", "evals.child_target"):
        monkeypatch.setattr(f"penstock.{module}.run_child", children)
    return recipe(**MODEL, suite="triage")


def waiting(home: Home, actor: Actor) -> list[str]:
    """Deliver what happened; return the versions that wait to be judged, and let them be judged."""
    while Dispatcher(home, SUBSCRIBERS).tick():
        pass
    with home.read() as uow:
        queued = jobs.list_jobs(uow, actor, kind=repeating.JOB_KIND)
    due = [job for job in reversed(queued) if job.state is jobs.JobState.QUEUED]
    for job in due:
        ended = jobs.run_inline(home, job.id, handlers.HANDLERS)
        assert ended.state is jobs.JobState.SUCCEEDED, ended.error
    return [str(job.spec["ref"]) for job in due]


def test_every_export_is_judged_by_the_recipes_suite(home: Home, actor: Actor, judged: Recipe) -> None:
    run = service.execute(home, actor, judged)
    assert waiting(home, actor) == ["triage@1"]
    assert export(home, actor, ref=str(run.model), format="gguf", quantization="q4_0").ref == "triage-gguf@1"
    assert export(home, actor, ref=str(run.model), format="merged").ref == "triage-merged@1"
    assert export(home, actor, ref="triage-merged@1", quantization="q8_0").ref == "triage-merged-gguf@1"
    assert waiting(home, actor) == ["triage-gguf@1", "triage-merged@1", "triage-merged-gguf@1"]
    found = optimising.execute(home, actor, request("gguf:q4_1"))
    assert waiting(home, actor) == [found.variants[0].version]
    with home.read() as uow:
        ran = {one.model: one for one in evals.list_runs(uow, actor)}
    exact = {
        ref: next(metric.value for metric in one.metrics if metric.name == "exact")
        for ref, one in ran.items()
    }
    assert exact["triage@1"] == 1.0
    assert exact["triage-gguf@1"] == pytest.approx(35 / 60), "the file's own answers, not its parent's"
    assert ran["triage-gguf@1"].spec["target"]["max_tokens"] == 9


def test_an_evaluation_that_is_there_is_not_repeated(home: Home, actor: Actor, judged: Recipe) -> None:
    service.execute(home, actor, judged)
    with home.read() as uow:
        suite = suites.load(uow, actor, "triage")
    found = optimising.execute(home, actor, request("gguf:q8_0", suite=suite))
    quality = found.variants[0].quality
    assert quality is not None
    assert waiting(home, actor) == ["triage@1", "triage-gguf@1"]
    with home.read() as uow:
        assert len(evals.list_runs(uow, actor)) == 2
        newest = evals.newest(uow, actor, suite="triage", model="triage-gguf@1")
    assert newest is not None
    assert newest.id == quality.eval_run


def test_a_variant_is_not_judged_while_it_is_timed_and_not_twice(
    home: Home, actor: Actor, judged: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.execute(home, actor, judged)
    waiting(home, actor)
    put_off: list[tuple[str, str]] = []

    def work_on(group: str, _name: str, _spec: Any) -> None:
        while Dispatcher(home, SUBSCRIBERS).tick():
            pass
        with home.read() as uow:
            queued = jobs.list_jobs(uow, actor, kind=repeating.JOB_KIND)
        for job in queued:
            if job.state is jobs.JobState.QUEUED:
                with pytest.raises(jobs.Postponed, match="Something is timed"):
                    jobs.run_inline(home, job.id, handlers.HANDLERS)
                put_off.append((str(job.spec["ref"]), group))

    children = Children(work_on)
    for module in ("optimise.making", "evals.child_target"):
        monkeypatch.setattr(f"penstock.{module}.run_child", children)
    with home.read() as uow:
        suite = suites.load(uow, actor, "triage")
    found = optimising.execute(home, actor, request("gguf:q8_0", suite=suite))
    assert put_off == [("triage-gguf@1", "runners"), ("triage-gguf@1", "targets")]
    assert waiting(home, actor) == ["triage-gguf@1"]
    with home.read() as uow:
        ran = [one.id for one in evals.list_runs(uow, actor) if one.model == "triage-gguf@1"]
    assert found.variants[0].quality is not None
    assert ran == [found.variants[0].quality.eval_run]


def test_an_export_is_held_to_its_sources_rule(home: Home, actor: Actor, judged: Recipe) -> None:
    run = service.execute(home, actor, judged)
    need = {"suite": "triage", "metric": "exact", "min": 0.8}
    rules = [
        {"stage": "production", "model": "triage", "evaluations": [need]},
        {"stage": "production", "papers": ["licence"]},
    ]
    with home.begin() as uow:
        stage_service.set_rules(uow, actor, rules=rules)
    good = export(home, actor, ref=str(run.model), quantization="q8_0")
    bad = export(home, actor, ref=str(run.model), quantization="q4_0")

    def move(ref: str) -> None:
        with home.begin() as uow:
            stage_service.move(uow, actor, ref=ref, stage="production")

    def point(number: int, alias: str = "production") -> None:
        with home.begin() as uow:
            registry.set_alias(uow, actor, name="triage-gguf", alias=alias, version=number)

    for refused in (lambda: move(good.ref), lambda: point(good.number)):
        with pytest.raises(Denied, match="'triage' has not been run to its end on triage-gguf@1"):
            refused()
    point(good.number, "candidate")
    waiting(home, actor)
    for refused in (lambda: move(bad.ref), lambda: point(bad.number)):
        with pytest.raises(Denied, match="is not at least"):
            refused()
    move(good.ref)
    point(good.number)
    with home.read() as uow:
        assert registry.get(uow, actor, ref="triage-gguf@production").stage is Stage.PRODUCTION


def test_what_has_no_suite_is_not_judged(home: Home, actor: Actor, judged: Recipe) -> None:
    service.execute(home, actor, replace(judged, suite=""))
    service.execute(home, actor, replace(judged, seed=1), search="hps_1")
    assert waiting(home, actor) == []
    with pytest.raises(NotFound):
        service.start(home, actor, replace(judged, suite="none"))
    with pytest.raises(Invalid, match="writes no answers"):
        service.start(home, actor, replace(judged, method="reward"))


def test_what_is_exported_from_a_trial_is_judged_though_the_trial_is_not(
    home: Home, actor: Actor, judged: Recipe
) -> None:
    trial = service.execute(home, actor, judged, search="hps_1")
    assert waiting(home, actor) == []
    export(home, actor, ref=str(trial.model), quantization="q8_0")
    assert waiting(home, actor) == ["triage-gguf@1"]


def test_early_stopping_names_the_suite_as_well() -> None:
    assert recipe(early_stop={"suite": "held-out"}).judged_by() == "held-out"
    assert recipe(early_stop={"suite": "held-out"}, suite="triage").judged_by() == "triage"
