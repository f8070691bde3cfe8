"""Training over HTTP and on the command line."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.training import cli, service, store
from penstock.training.model import MetricPoint
from tests.training.stage import Trainer, furnish, recipe

VALUES = {
    "name": "triage",
    "base": "base@1",
    "dataset": "tickets@1",
    "columns": {"prompt": "text", "completion": "label"},
}


@pytest.fixture
def trainer(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    furnish(home, actor, tmp_path)
    scripted = Trainer()
    monkeypatch.setattr(service, "run_child", scripted)
    return scripted


def test_a_run_is_queued_seen_and_cancelled(client: TestClient, trainer: Trainer) -> None:
    started = client.post("/api/v1/training/runs", json={"recipe": "sft-lora", "values": VALUES})
    assert started.status_code == 201
    run = started.json()
    assert (run["state"], run["base"], run["recipe"]["epochs"]) == ("queued", "base@1", 1.0)
    assert [item["id"] for item in client.get("/api/v1/training/runs").json()["items"]] == [run["id"]]
    cancelled = client.post(f"/api/v1/training/runs/{run['id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    assert client.post(f"/api/v1/training/runs/{run['id']}/cancel").status_code == 409


def test_a_finished_run_shows_its_metrics_and_log(
    client: TestClient, home: Home, actor: Actor, trainer: Trainer
) -> None:
    run = service.execute(home, actor, recipe())
    assert client.get(f"/api/v1/training/runs/{run.id}").json()["model"] == "triage@1"
    points = client.get(f"/api/v1/training/runs/{run.id}/metrics").json()["items"]
    assert [(point["step"], point["values"]["loss"]) for point in points] == [(1, 1.0), (2, 0.5)]
    assert client.get(f"/api/v1/training/runs/{run.id}/log").json() == {"text": "step 1\nstep 2"}


def test_a_long_run_is_told_in_evenly_chosen_points(
    client: TestClient, home: Home, actor: Actor, trainer: Trainer
) -> None:
    run = service.execute(home, actor, recipe())
    with home.begin() as uow:
        for step in range(3, 101):
            values = {"loss": 1 / step, **({"eval_exact": 0.5} if step == 52 else {})}
            store.add_point(uow.conn, run.id, MetricPoint(step=step, values=values, at=clock.now()))
    path = f"/api/v1/training/runs/{run.id}/metrics"
    steps = [point["step"] for point in client.get(path, params={"points": 10}).json()["items"]]
    # Every tenth, counted from the last, and the checkpoint that was evaluated.
    assert steps == [10, 20, 30, 40, 50, 52, 60, 70, 80, 90, 100]
    assert len(client.get(path, params={"points": 100}).json()["items"]) == 100
    assert client.get(path, params={"points": 1}).status_code == 422


def test_mistakes_are_problem_documents(client: TestClient, trainer: Trainer) -> None:
    wrong = client.post(
        "/api/v1/training/runs", json={"recipe": "sft-lora", "values": {**VALUES, "epoch": 1}}
    )
    assert (wrong.status_code, "'epochs'" in wrong.text) == (400, True)
    missing = client.post(
        "/api/v1/training/runs", json={"recipe": "sft-lora", "values": {**VALUES, "base": "x@1"}}
    )
    assert missing.status_code == 404
    assert client.post("/api/v1/training/runs", json={"recipe": "sft-lore"}).status_code == 404
    assert client.get("/api/v1/training/runs/run_nope").status_code == 404


def test_ready_recipes_are_listed(client: TestClient) -> None:
    items = {item["name"]: item for item in client.get("/api/v1/training/recipes").json()["items"]}
    assert {"dpo-replay", "grpo-scorer", "sft-lora"} <= items.keys()
    assert items["sft-lora"]["description"].startswith("Supervised fine-tuning with LoRA")
    assert "method: sft" in items["sft-lora"]["text"]


def test_the_command_line_runs_lists_and_shows(home: Home, trainer: Trainer) -> None:
    runner = CliRunner()
    options = [f"--set={key}={json.dumps(value)}" for key, value in VALUES.items()]
    ran = runner.invoke(cli.app, ["run", "sft-lora", *options, "--home", str(home.path), "--json"])
    assert ran.exit_code == 0, ran.output
    run = json.loads(ran.stdout)
    assert (run["state"], run["model"]) == ("succeeded", "triage@1")
    assert "--- trained\ncategory: c0" in ran.stderr
    listed = runner.invoke(cli.app, ["list", "--home", str(home.path)])
    assert "triage@1" in listed.output
    shown = json.loads(runner.invoke(cli.app, ["show", run["id"], "--home", str(home.path), "--json"]).stdout)
    assert [point["step"] for point in shown["metrics"]] == [1, 2]
    logged = runner.invoke(cli.app, ["log", run["id"], "--home", str(home.path)])
    assert logged.output.strip() == "step 1\nstep 2"
    unknown = runner.invoke(cli.app, ["show", "run_nope", "--home", str(home.path)])
    assert (unknown.exit_code, "There is no training run" in unknown.output) == (1, True)
    mistyped = runner.invoke(cli.app, ["run", "sft-lora", "--set=epoch=1", "--home", str(home.path)])
    assert (mistyped.exit_code, "Did you mean 'epochs'?" in mistyped.output) == (1, True)
