"""Pipelines written in YAML: checked before anything runs, run by the job machinery, resumed behind finished steps."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core import jobs
from penstock.core.errors import Cancelled, ChildFailed, Denied, Invalid, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.evals import service as evals
from penstock.pipelines import cli, service
from penstock.pipelines import jobs as handlers
from penstock.pipelines.documents import parse
from penstock.pipelines.model import PipelineRun, RunState
from penstock.registry import service as registry
from penstock.training import service as training
from tests.pipelines.stage import QUIET, RECIPE, nightly
from tests.training.stage import Trainer


def ran(home: Home, actor: Actor, values: Any, **options: Any) -> PipelineRun:
    found, _ = service.start(home, actor, parse(values), as_job=False, **options)
    return service.perform(home, actor, run_id=found.id, hooks=QUIET)


def test_from_rows_to_a_candidate(home: Home, actor: Actor, file: Path) -> None:
    found = ran(home, actor, nightly(file))
    assert (found.pipeline, found.number, found.state) == ("nightly", 1, RunState.SUCCEEDED)
    assert [step.name for step in found.steps] == ["data", "train", "judge", "export", "candidate", "ready"]
    assert found.result_of("data")["ref"] == "tickets@1"
    assert found.result_of("train")["model"] == "triage@1"
    assert found.result_of("judge")["metrics"]["exact"] == 1.0
    with home.read() as uow:
        run = training.get(uow, actor, run_id=found.result_of("train")["run"])
        assert run.dataset == "tickets@1"
        assert registry.get(uow, actor, ref="triage-gguf@candidate").ref == "triage-gguf@1"
        assert str(registry.get(uow, actor, ref="triage@1").stage) == "staging"
        assert evals.find_gate(uow, actor, found.result_of("judge")["gate"]).passed
    assert ran(home, actor, nightly(file)).number == 2, "the next night is a run of its own"


def test_a_gate_that_refuses_ends_the_run(home: Home, actor: Actor, file: Path) -> None:
    values = nightly(file, gate=[{"metric": "exact", "max": 0.5}])
    with pytest.raises(Unprocessable, match="The gate refused"):
        ran(home, actor, values)
    with home.read() as uow:
        failed = service.newest(uow, actor, pipeline="nightly")
        assert registry.get(uow, actor, ref="triage@1").stage == "development"
    assert failed is not None
    assert (failed.state, [step.name for step in failed.steps]) == (RunState.FAILED, ["data", "train"])
    assert "The gate refused" in str(failed.error)


def test_a_run_goes_on_behind_its_finished_steps(
    home: Home, actor: Actor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer()

    def die(_spec: dict[str, Any]) -> None:
        raise ChildFailed("killed")

    monkeypatch.setattr(training, "run_child", Trainer(die))
    found, job = service.start(home, actor, parse(nightly(file)))
    with pytest.raises(ChildFailed):
        jobs.run_inline(home, str(job), handlers.HANDLERS)
    monkeypatch.setattr(training, "run_child", trainer)
    file.unlink()
    again, job = service.start(home, actor, parse(nightly(file)))
    assert again.id == found.id
    ended = jobs.run_inline(home, str(job), handlers.HANDLERS)
    assert ended.result == {"run_id": found.id, "state": "succeeded"}
    with home.read() as uow:
        assert len(training.list_runs(uow, actor)) == 1, "the same training run went on"
    assert len(trainer.specs) == 1


def test_other_steps_or_a_wish_begin_anew(home: Home, actor: Actor, file: Path) -> None:
    refused = nightly(file, gate=[{"metric": "exact", "max": 0.5}])
    for options in ({}, {"fresh": True}):
        with pytest.raises(Unprocessable):
            ran(home, actor, refused, **options)
    assert ran(home, actor, nightly(file)).number == 3


def test_a_cancelled_pipeline_stops_before_its_next_step(home: Home, actor: Actor, file: Path) -> None:
    found, _ = service.start(home, actor, parse(nightly(file)), as_job=False)
    with pytest.raises(Cancelled):
        service.perform(home, actor, run_id=found.id, hooks=replace(QUIET, cancelled=lambda: True))
    with home.read() as uow:
        stopped = service.get(uow, actor, run_id=found.id)
    assert (stopped.state, stopped.steps, stopped.error) == (RunState.CANCELLED, (), "Cancelled.")
    again, _ = service.start(home, actor, parse(nightly(file)), as_job=False)
    assert (again.id, again.state, again.error) == (found.id, RunState.WAITING, None)
    assert service.perform(home, actor, run_id=found.id, hooks=QUIET).state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "between 1 and 50"),
        (["train"], "not a table"),
        ([{"trane": {}}], "Did you mean 'train'|did you mean|train"),
        ([{"train": {"recipe": "sft-lora"}, "alias": {}}], "of one kind"),
        ([{"alias": {"model": "m@1"}}], "needs alias"),
        ([{"alias": {"model": "m@1", "alias": "x", "to": 1}}], "has no 'to'"),
        ([{"alias": {"model": "${train.model}", "alias": "x"}}], "names no earlier step"),
        ([{"train": {"recipe": {"name": "x"}}}], "recipe lacks"),
        ([{"train": {"recipe": [1]}}], "Step 'train': recipe is a table"),
        ([{"train": {"recipe": "sft-lora", "values": [1]}}], "values is a table"),
        ([{"train": {"recipe": "sft-lora", "values": {"source": 1}}}], "Unknown recipe key source"),
        ([{"train": {"recipe": "sft-lora", "values": {1: 2}}}], "Unknown recipe key 1"),
        ([{"train": {"recipe": {**RECIPE, "preference": 3}, "values": {"preference.beta": 1}}}], "a table"),
        ([{"evaluate": {"suite": ["x"]}}], "suite is a text"),
        ([{"name": "judge", "evaluate": {"suite": "x", "gate": {"min": 1}}}], "Step 'judge': gate is a list"),
        ([{"evaluate": {"suite": "x", "gate": [{"metric": "exact", "least": 1}]}}], "Unknown key 'least'"),
        ([{"dataset": {"name": "t", "file": "/t", "seed": "one"}}], "seed is a whole number"),
        ([{"dataset": {"name": "t", "file": "/t", "splits": "train"}}], "splits gives each split"),
        ([{"dataset": {"name": "t", "file": "/t", "recipe": [{"step": "none"}]}}], "Step 1 of the recipe"),
        ([{"feedback": {"name": "t", "kind": "stars"}}], "not a kind of feedback dataset"),
        ([{"export": {"model": "m@1", "format": "onyx"}}], "not an export format"),
        ([{"alias": {"model": "m@1", "alias": "Not one"}}], "alias"),
        ([{"stage": {"model": "m@1", "stage": "prod"}}], "not a stage"),
        ([{"dataset": {"name": "t", "file": "t.jsonl"}}], "not an absolute path"),
        ([{"name": "A B", "alias": {"model": "m", "alias": "x"}}], "not a name of a step"),
        ([{"alias": {"model": "m", "alias": "x"}}, {"alias": {"model": "m", "alias": "y"}}], "Two steps"),
    ],
)
def test_what_cannot_work_is_refused_before_it_runs(steps: Any, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse({"name": "p", "steps": steps})


def test_a_pipeline_survives_its_record(tmp_path: Path) -> None:
    made = parse(nightly(tmp_path / "t.jsonl"))
    assert parse(json.loads(json.dumps(made.to_dict()))) == made
    for wrong in ([], {"name": "x"}, {"name": "X Y", "steps": [{}]}):
        with pytest.raises(Invalid):
            parse(wrong)


def test_a_result_that_is_not_there_is_named(home: Home, actor: Actor, file: Path) -> None:
    values = nightly(file)
    values["steps"] = [values["steps"][0], {"alias": {"model": "${data.model}", "alias": "x"}}]
    with pytest.raises(Invalid, match=r"\$\{data.model\} is not there: no 'model'. It has hash, ref, rows"):
        ran(home, actor, values)


def test_only_an_admin_reads_files_of_the_server(home: Home, actor: Actor, file: Path) -> None:
    member = replace(actor, role=Role.MEMBER)
    with pytest.raises(Denied):
        service.start(home, member, parse(nightly(file)))
    rest = {"name": "p", "steps": [{"alias": {"model": "base@1", "alias": "x"}}]}
    assert ran(home, member, rest).state is RunState.SUCCEEDED


def test_over_http(client: TestClient, home: Home, actor: Actor, file: Path) -> None:
    started = client.post("/api/v1/pipelines/runs", json={"document": nightly(file)})
    assert started.status_code == 202, started.text
    assert jobs.run_inline(home, started.json()["job"], handlers.HANDLERS).state is jobs.JobState.SUCCEEDED
    shown = client.get(f"/api/v1/pipelines/runs/{started.json()['run']['id']}").json()
    assert (shown["state"], len(shown["steps"])) == ("succeeded", 6)
    for wrong in ({"name": "p"}, {"name": "p", "steps": [{"train": {"recipe": 5}}]}):
        assert client.post("/api/v1/pipelines/runs", json={"document": wrong}).status_code == 400


def test_on_the_command_line(
    home: Home, actor: Actor, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = nightly(Path("tickets.jsonl"))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    values["steps"][1] = {"train": {"recipe": "recipe.yaml"}}
    (tmp_path / "nightly.yaml").write_text(yaml.safe_dump(values))
    runner, where = CliRunner(), ["--home", str(home.path)]
    checked = runner.invoke(cli.app, ["check", "nightly.yaml"])
    assert checked.stdout.strip() == "nightly: data, train, judge, export, candidate, ready", checked.output
    queued = runner.invoke(cli.app, ["run", "nightly.yaml", "--background", "--json", *where])
    assert json.loads(queued.stdout)["state"] == "waiting", queued.output
    ended = runner.invoke(cli.app, ["run", "nightly.yaml", *where])
    assert ended.exit_code == 0, ended.output
    with home.read() as uow:
        (run,) = service.list_runs(uow, actor)
    assert run.state is RunState.SUCCEEDED
    assert run.id in runner.invoke(cli.app, ["list", "--json", *where]).stdout
    assert "triage@1" in runner.invoke(cli.app, ["show", run.id, "--json", *where]).stdout
    assert runner.invoke(cli.app, ["run", "none.yaml", *where]).exit_code != 0
