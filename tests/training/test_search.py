"""Hyper-parameter search: plans, the searcher, trials as runs, and going on after a stop."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core import jobs, plugins
from penstock.core.errors import Cancelled, ChildFailed, Conflict, Denied, Invalid
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor, Role
from penstock.evals.model import Metric, MetricKind
from penstock.evals.suite import Suite, parse_suite
from penstock.evals.suites import service as suites
from penstock.training import jobs as handlers
from penstock.training import service as training
from penstock.training.search import cli, service, store, trials
from penstock.training.search.model import SearchState, TrialState, parse_plan
from tests.dying import die, wear_out
from tests.registry.folders import adapter_folder, base_folder
from tests.training.stage import furnish, recipe

pytest.importorskip("optuna")
SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "adapter.rank": [4, 8]}


def plan(**changes: Any) -> dict[str, Any]:
    plain = {
        "recipe": recipe().to_dict(),
        "space": SPACE,
        "objectives": [{"metric": "loss"}],
        "sampler": {"name": "tpe", "n_startup_trials": 3},
        "trials": 6,
    }
    return {**plain, **changes}


class Formula:
    """Stands in for training: the loss is a formula of the recipe, best at a learning rate of 0.01 and rank 8."""

    def __init__(self) -> None:
        self.specs: list[dict[str, Any]] = []
        self.before: Callable[[dict[str, Any]], None] = lambda _spec: None
        self.stopping = False
        """Whether a stop was asked for: a trial then lasts until it is told."""

    def __call__(
        self, _group: str, _name: str, spec: dict[str, Any], *, workdir: Path, **hooks: Any
    ) -> dict[str, Any]:
        self.specs.append(spec)
        self.before(spec)
        if self.stopping:
            deadline = time.monotonic() + 60
            while not hooks["cancelled"]():
                assert time.monotonic() < deadline, "the trial was never told to stop"
                time.sleep(0.02)
        loss = abs(spec["learning_rate"] - 0.01) * 10 + (0.5 if spec["adapter"]["rank"] == 4 else 0.0)
        for step in (1, 2, 3):
            report = {"stage": "train", "step": step, "steps": 3, "loss": loss + 1 / step}
            hooks["on_progress"]({**report, "eta_seconds": 0.0, "tokens_per_second": 1.0})
            if hooks["cancelled"]():
                raise Cancelled("Stopped.")
        result = {"folder": str(adapter_folder(workdir / "model")), "kind": "adapter", "steps": 3}
        figures = {"loss": loss, "size": float(spec["adapter"]["rank"])}
        return {**result, "metrics": figures, "trained_parameters": 8}


@pytest.fixture
def formula(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Formula:
    furnish(home, actor, tmp_path)
    made = Formula()
    monkeypatch.setattr(training, "run_child", made)
    load = plugins.load

    def found(group: str, name: str) -> Any:
        if (group, name) == ("searchers", "optuna"):
            from penstock.training.searchers.optuna_search import OptunaSearcher

            return OptunaSearcher
        return load(group, name)

    monkeypatch.setattr(plugins, "load", found)
    return made


def test_trials_are_runs_and_the_best_one_is_known(home: Home, actor: Actor, formula: Formula) -> None:
    found = service.execute(home, actor, plan(trials=8))
    assert (found.state, len(found.trials)) == (SearchState.SUCCEEDED, 8)
    losses = {trial.number: trial.values["loss"] for trial in found.trials}
    assert found.pareto == [min(losses, key=lambda number: losses[number])]
    assert set(found.importance["loss"]) == {"learning_rate", "adapter.rank"}
    with home.read() as uow:
        runs = training.list_runs(uow, actor, search=found.id)
    assert {run.id for run in runs} == {trial.run_id for trial in found.trials}
    first = found.trials[0]
    (run,) = [run for run in runs if run.id == first.run_id]
    assert run.recipe["learning_rate"] == first.params["learning_rate"]
    assert run.recipe["adapter"]["rank"] == first.params["adapter.rank"]
    assert str(run.model).startswith("triage-trials@")


def test_a_base_from_a_folder_is_imported_once_for_all_trials(
    home: Home, actor: Actor, formula: Formula, tmp_path: Path
) -> None:
    folder = base_folder(tmp_path / "elsewhere", {"notes.txt": "other files"})
    seen: list[dict[str, Any]] = []
    wanted = plan(trials=2, recipe=recipe(base=str(folder)).to_dict())
    found = service.execute(home, actor, wanted, progress=seen.append)
    assert (found.state, found.plan.recipe["base"]) == ("succeeded", "elsewhere@1")
    assert [spec["base"] for spec in formula.specs] == ["elsewhere@1", "elsewhere@1"]
    assert sum(report.get("stage") == "import" for report in seen) == 1
    member = replace(actor, role=Role.MEMBER)
    with pytest.raises(Denied):
        service.start(home, member, wanted)
    failed = plan(recipe=recipe(base=str(tmp_path / "none")).to_dict())
    with pytest.raises(Invalid, match="no folder"):
        service.execute(home, actor, failed)


def test_the_same_seed_searches_the_same(home: Home, actor: Actor, formula: Formula) -> None:
    one, two = (service.execute(home, actor, plan(seed=5, trials=4)) for _ in range(2))
    assert [trial.params for trial in one.trials] == [trial.params for trial in two.trials]


def test_two_objectives_leave_a_front(home: Home, actor: Actor, formula: Formula) -> None:
    objectives = [{"metric": "loss"}, {"metric": "size", "direction": "minimize"}]
    found = service.execute(home, actor, plan(objectives=objectives, sampler="nsga2", trials=10))
    values = {trial.number: (trial.values["loss"], trial.values["size"]) for trial in found.trials}
    front = [
        number
        for number, mine in values.items()
        if not any(
            other != mine and all(a <= b for a, b in zip(other, mine, strict=True))
            for other in values.values()
        )
    ]
    assert found.pareto == front


def test_quality_cost_and_latency_are_searched_together(
    home: Home, actor: Actor, formula: Formula, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {
        "name": "held-out",
        "dataset": "tickets@1",
        "target": {"kind": "transformers", "model": "base@1", "max_tokens": 4},
        "scorers": ["exact", "latency"],
        "columns": {"input": "text", "expected": "label"},
    }
    with home.begin() as uow:
        suites.put(uow, actor, name="held-out", suite=parse_suite(spec))
    asked: dict[str, tuple[str, dict[str, Any]]] = {}

    def judged(_home: Home, _actor: Actor, *, suite: Suite, key: str, **_: Any) -> SimpleNamespace:
        asked[key] = (suite.dataset, dict(suite.target))
        number = int(key.split(":")[1])
        whole = {"low": None, "high": None, "n": 12, "method": "", "kind": MetricKind.MEAN}
        figures = {"exact": number / 10, "latency_s": 2.0 - number / 10}
        metrics = [Metric(name=name, value=value, **whole) for name, value in figures.items()]
        return SimpleNamespace(metrics=[Metric(name="exact", split="x", value=-1.0, **whole), *metrics])

    monkeypatch.setattr(trials.evals, "run", judged)
    objectives = [
        {"metric": "eval.exact", "direction": "maximize"},
        {"metric": "cost_usd"},
        {"metric": "eval.latency_s"},
    ]
    priced = recipe(running={"cost_per_hour": 3.6}).to_dict()
    found = service.execute(
        home,
        actor,
        plan(recipe=priced, objectives=objectives, suite="held-out", sampler="random", trials=4),
    )
    assert (found.state, len(asked)) == (SearchState.SUCCEEDED, 4)
    with home.read() as uow:
        runs = {run.id: run for run in training.list_runs(uow, actor, search=found.id)}
    for trial in found.trials:
        run = runs[str(trial.run_id)]
        assert trial.values == {
            "eval.exact": trial.number / 10,
            "cost_usd": run.metrics["cost_usd"],
            "eval.latency_s": 2.0 - trial.number / 10,
        }
        target = {"kind": "transformers", "model": run.model, "max_tokens": 4}
        assert asked[f"{found.id}:{trial.number}:eval"] == ("tickets@1", target)
    # The last one is the best and the fastest: only what is cheaper than it may stand beside it.
    last = found.trials[3].values["cost_usd"]
    cheaper = {trial.number for trial in found.trials if trial.values["cost_usd"] < last}
    assert 3 in found.pareto
    assert set(found.pareto) <= {3, *cheaper}


def test_the_recipes_suite_judges_where_the_plan_names_none(
    home: Home, actor: Actor, formula: Formula, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {
        "dataset": "tickets@1",
        "target": {"kind": "transformers", "model": "base@1"},
        "scorers": ["exact"],
        "columns": {"input": "text", "expected": "label"},
    }
    with home.begin() as uow:
        for name in ("of-recipe", "of-plan"):
            suites.put(uow, actor, name=name, suite=parse_suite({**spec, "name": name}))
    asked: list[str] = []

    def judged(_home: Home, _actor: Actor, *, suite: Suite, **_: Any) -> SimpleNamespace:
        asked.append(suite.name)
        whole = {"low": None, "high": None, "n": 12, "method": "", "kind": MetricKind.MEAN}
        return SimpleNamespace(metrics=[Metric(name="exact", value=0.5, **whole)])

    monkeypatch.setattr(trials.evals, "run", judged)
    mine = recipe(suite="of-recipe").to_dict()
    wanted = plan(recipe=mine, objectives=[{"metric": "eval.exact", "direction": "maximize"}], trials=1)
    found = service.execute(home, actor, wanted)
    assert (found.plan.suite, found.trials[0].values) == ("of-recipe", {"eval.exact": 0.5})
    assert service.execute(home, actor, {**wanted, "suite": "of-plan"}).plan.suite == "of-plan"
    early = recipe(early_stop={"suite": "of-recipe"}).to_dict()
    assert parse_plan({**wanted, "recipe": early}).suite == "of-recipe"
    assert service.execute(home, actor, plan(recipe=mine, trials=1)).plan.suite == ""
    assert asked == ["of-recipe", "of-plan"]


def test_hopeless_trials_are_pruned(home: Home, actor: Actor, formula: Formula) -> None:
    pruner = {"name": "threshold", "upper": 1.2, "n_warmup_steps": 2}
    found = service.execute(home, actor, plan(pruner=pruner, sampler="random", trials=10))
    states = {trial.number: trial.state for trial in found.trials}
    for trial, spec in zip(found.trials, formula.specs, strict=True):
        loss = abs(spec["learning_rate"] - 0.01) * 10 + (0.5 if spec["adapter"]["rank"] == 4 else 0.0)
        assert states[trial.number] == ("pruned" if loss + 0.5 > 1.2 or loss + 1 / 3 > 1.2 else "complete")
    assert set(states.values()) == {TrialState.PRUNED, TrialState.COMPLETE}


def test_trials_run_beside_each_other(home: Home, actor: Actor, formula: Formula) -> None:
    meeting = threading.Barrier(2, timeout=30)
    formula.before = lambda _spec: meeting.wait() and None
    found = service.execute(home, actor, plan(parallel=2, trials=4))
    assert [trial.state for trial in found.trials] == [TrialState.COMPLETE] * 4


def test_a_grid_ends_when_everything_was_tried(home: Home, actor: Actor, formula: Formula) -> None:
    space = {"learning_rate": [0.1, 0.01], "adapter.rank": [4, 8]}
    found = service.execute(home, actor, plan(space=space, sampler="grid", trials=50))
    tried = {(trial.params["learning_rate"], trial.params["adapter.rank"]) for trial in found.trials}
    assert (len(found.trials), len(tried)) == (4, 4)
    assert found.trials[found.pareto[0]].params == {"learning_rate": 0.01, "adapter.rank": 8}
    every = service.execute(home, actor, plan(space=space, sampler="bruteforce", trials=50))
    assert len(every.trials) == 4


def test_a_search_that_was_cut_off_goes_on(home: Home, actor: Actor, formula: Formula) -> None:
    class Killed(BaseException):
        """The process dies: nothing is told to anybody."""

    def die(_spec: dict[str, Any]) -> None:
        if len(formula.specs) == 3:
            raise Killed

    formula.before = die
    queued = service.start(home, actor, plan(trials=5))
    with pytest.raises(Killed):
        service.perform(home, actor, search_id=queued.id)
    formula.before = lambda _spec: None
    with home.read() as uow:
        left = service.get(uow, actor, search_id=queued.id)
    assert [trial.state for trial in left.trials] == ["complete", "complete", "running"]
    job = jobs.run_inline(home, str(queued.job_id), handlers.HANDLERS)
    assert job.result is not None
    with home.read() as uow:
        ended = service.get(uow, actor, search_id=queued.id)
    assert [trial.state for trial in ended.trials] == ["complete"] * 5
    assert ended.trials[2].params == left.trials[2].params
    assert len(formula.specs) == 6


def test_a_search_whose_command_was_killed_can_be_taken_up_or_ended(
    home: Home, actor: Actor, formula: Formula
) -> None:
    def interrupt(_spec: dict[str, Any]) -> None:
        if len(formula.specs) in (2, 3):
            raise KeyboardInterrupt

    formula.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        service.execute(home, actor, plan(trials=3))
    with home.begin() as uow:
        (left,) = service.list_searches(uow, actor)
        assert left.state is SearchState.RUNNING
        assert service.resume(uow, actor, search_id=left.id, as_job=False).state is SearchState.QUEUED
    with pytest.raises(KeyboardInterrupt):
        service.perform(home, actor, search_id=left.id)
    with home.begin() as uow:
        assert service.stop(uow, actor, search_id=left.id).state is SearchState.STOPPED
        service.resume(uow, actor, search_id=left.id, as_job=False)
    ended = service.perform(home, actor, search_id=left.id)
    assert [trial.state for trial in ended.trials] == ["complete"] * 3
    with home.begin() as uow, exclusive(home.path / "training" / "searches" / left.id / "search.lock"):
        store.change(uow.conn, actor.scope, left.id, state=SearchState.RUNNING)
        with pytest.raises(Conflict):
            service.resume(uow, actor, search_id=left.id)


def test_a_search_whose_workers_die_again_and_again_fails_with_its_runs(
    home: Home, actor: Actor, formula: Formula
) -> None:
    search = service.start(home, actor, plan(trials=2))
    formula.before = die
    reason = wear_out(home, str(search.job_id), handlers.HANDLERS)
    with home.read() as uow:
        failed = service.get(uow, actor, search_id=search.id)
        (run,) = training.list_runs(uow, actor, search=search.id)
    assert (failed.state, failed.error) == (SearchState.FAILED, reason)
    assert (run.state, run.error) == ("failed", reason)
    formula.before = lambda _spec: None
    with home.begin() as uow:
        again = service.resume(uow, actor, search_id=search.id)
    jobs.run_inline(home, str(again.job_id), handlers.HANDLERS)
    with home.read() as uow:
        found = service.get(uow, actor, search_id=search.id)
        runs = training.list_runs(uow, actor, search=search.id)
    assert found.state is SearchState.SUCCEEDED
    assert [one.state for one in runs] == ["succeeded", "succeeded"]


def test_stopping_and_asking_for_more(home: Home, actor: Actor, formula: Formula) -> None:
    queued = service.start(home, actor, plan(trials=9))

    def stop(_spec: dict[str, Any]) -> None:
        if len(formula.specs) == 2:
            with home.begin() as uow:
                service.stop(uow, actor, search_id=queued.id)
            formula.stopping = True

    formula.before = stop
    stopped = service.perform(home, actor, search_id=queued.id)
    assert stopped.state is SearchState.STOPPED
    assert [trial.state for trial in stopped.trials] == ["complete", "running"]
    formula.before, formula.stopping = lambda _spec: None, False
    with home.begin() as uow:
        with pytest.raises(Conflict):
            service.stop(uow, actor, search_id=queued.id)
        service.resume(uow, actor, search_id=queued.id, trials=4)
    ended = service.perform(home, actor, search_id=queued.id)
    assert (ended.state, len(ended.trials)) == (SearchState.SUCCEEDED, 4)


def test_a_trial_whose_run_was_cancelled_has_ended(home: Home, actor: Actor, formula: Formula) -> None:
    def cancel(_spec: dict[str, Any]) -> None:
        if len(formula.specs) == 2:
            raise Cancelled("Somebody cancelled the run.")

    formula.before = cancel
    found = service.execute(home, actor, plan(trials=4))
    assert found.state is SearchState.SUCCEEDED
    assert [trial.state for trial in found.trials] == ["complete", "cancelled", "complete", "complete"]
    cut = found.trials[1]
    with home.read() as uow:
        assert training.get(uow, actor, run_id=str(cut.run_id)).state == "cancelled"
    with home.begin() as uow:
        service.resume(uow, actor, search_id=found.id, trials=5)
    more = service.perform(home, actor, search_id=found.id)
    assert [trial.state for trial in more.trials].count(TrialState.COMPLETE) == 4
    assert more.trials[1] == cut
    assert len(formula.specs) == 5


def test_a_failed_trial_is_no_end_but_three_are(home: Home, actor: Actor, formula: Formula) -> None:
    def sometimes(_spec: dict[str, Any]) -> None:
        if len(formula.specs) == 2:
            raise ChildFailed("ran out of memory")

    formula.before = sometimes
    found = service.execute(home, actor, plan(trials=3))
    assert [trial.state for trial in found.trials] == ["complete", "failed", "complete"]
    assert "ran out of memory" in str(found.trials[1].error)

    def always(_spec: dict[str, Any]) -> None:
        raise ChildFailed("ran out of memory")

    formula.before = always
    with pytest.raises(ChildFailed):
        service.execute(home, actor, plan(trials=20))
    with home.read() as uow:
        (newest, *_rest) = service.list_searches(uow, actor)
    assert newest.state is SearchState.FAILED


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {"learning_rat": [1.0]}},
        {"space": {"learning_rate": {"low": 1.0, "high": 0.1}}},
        {"space": {"learning_rate": {"low": 0.0, "high": 0.1, "log": True}}},
        {"space": {"learning_rate": {"low": 0.1}}},
        {"objectives": [{"metric": "loss", "direction": "up"}]},
        {"objectives": [{"metric": "eval.exact"}]},
        {"objectives": [{"metric": "loss"}, {"metric": "size"}], "pruner": "asha"},
        {"objectives": []},
        {"trials": 0},
        {"sampler": "tpa"},
        {"sampler": {"name": "tpe", "startup": 3}},
        {"sampler": "grid"},
        {"pruner": "ashes"},
        {"budget": 3},
    ],
)
def test_a_search_that_cannot_work_is_refused(
    home: Home, actor: Actor, formula: Formula, changes: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        service.start(home, actor, plan(**changes))
    with home.read() as uow:
        assert service.list_searches(uow, actor) == []


def test_a_plan_survives_its_record() -> None:
    made = parse_plan(plan(space={"epochs": {"low": 1, "high": 4, "whole": True}, "seed": [1, 2]}))
    assert parse_plan(json.loads(json.dumps(made.to_dict()))) == made


def test_searching_over_http(client: TestClient, home: Home, actor: Actor, formula: Formula) -> None:
    started = client.post("/api/v1/training/searches", json=plan(trials=2))
    assert started.status_code == 201, started.text
    search_id = started.json()["id"]
    service.perform(home, actor, search_id=search_id)
    shown = client.get(f"/api/v1/training/searches/{search_id}").json()
    assert (shown["state"], len(shown["trials"]), len(shown["pareto"])) == ("succeeded", 2, 1)
    assert shown["trials"][0].keys() >= {"number", "state", "params", "values", "run_id"}
    assert [one["id"] for one in client.get("/api/v1/training/searches").json()["items"]] == [search_id]
    assert client.post(f"/api/v1/training/searches/{search_id}/stop").status_code == 409
    resumed = client.post(f"/api/v1/training/searches/{search_id}/resume", json={"trials": 3})
    assert resumed.json()["state"] == "queued"
    assert client.post(f"/api/v1/training/searches/{search_id}/stop").json()["state"] == "stopped"
    runs = client.get("/api/v1/training/runs", params={"search": search_id}).json()["items"]
    assert len(runs) == 2


def test_searching_on_the_command_line(home: Home, formula: Formula, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(json.dumps(plan(trials=2)))
    runner = CliRunner()
    ran = runner.invoke(cli.app, ["run", str(file), "--home", str(home.path), "--json"])
    assert ran.exit_code == 0, ran.output
    made = json.loads(ran.stdout)
    assert (made["state"], len(made["trials"])) == ("succeeded", 2)
    shown = runner.invoke(cli.app, ["show", made["id"], "--home", str(home.path)])
    assert "best" in shown.output
    assert made["id"] in runner.invoke(cli.app, ["list", "--home", str(home.path)]).output
    more = runner.invoke(cli.app, ["resume", made["id"], "--trials", "3", "--home", str(home.path), "--json"])
    assert len(json.loads(more.stdout)["trials"]) == 3
    wrong = runner.invoke(cli.app, ["run", str(tmp_path / "nope.yaml"), "--home", str(home.path)])
    assert wrong.exit_code == 1
