"""Optimisation over HTTP and on the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.conftest import owner_of
from tests.dying import die, wear_out
from tests.evals.optimise.prompted_model import PromptedModel, prepare
from typer.testing import CliRunner

from penstock.core import jobs
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals.cli import app
from penstock.evals.jobs import HANDLERS
from penstock.evals.optimise.service import JOB_KIND

PATH = "/api/v1/evals/optimisations"


@pytest.fixture
def model() -> Iterator[PromptedModel]:
    with PromptedModel() as served:
        yield served


def test_the_whole_of_it_over_http(
    client: TestClient, home: Home, actor: Actor, model: PromptedModel
) -> None:
    prepare(home, actor)
    secret = {**model.plan()["target"], "api_key": "in the clear"}
    assert client.post(PATH, json=model.plan(target=secret)).status_code == 400
    made = client.post(PATH, json={**model.plan(), "key": "mine"})
    assert made.status_code == 201, made.text
    found = made.json()
    assert (found["state"], found["budget"]) == ("queued", {"calls": 600, "cost_usd": None})
    assert client.post(PATH, json={**model.plan(), "key": "mine"}).json()["id"] == found["id"]
    assert client.post(f"{PATH}/{found['id']}/accept").status_code == 409
    assert jobs.run_inline(home, found["job_id"], HANDLERS).state == "succeeded"
    done = client.get(f"{PATH}/{found['id']}").json()
    assert done["state"] == "succeeded"
    tried = {one["id"]: one for one in done["candidates"]}
    base, best = tried["c0"], tried[done["best"]]
    assert base["score"] < best["low"] < best["score"] <= best["high"]
    assert best["cost_usd"] > base["cost_usd"] > 0
    assert best["gain"]["verdict"] == "better"
    assert "one word" in best["instruction"].lower() or best["shots"] > 0
    assert set(done["pareto"]) <= set(tried)
    listed = client.get(f"{PATH}/{found['id']}/candidates/c0/rows").json()["items"]
    assert {row["part"] for row in listed} == {"learn", "select", "held_out"}
    assert client.get(f"{PATH}/{found['id']}/candidates/c77/rows").status_code == 404
    accepted = client.post(f"{PATH}/{found['id']}/accept", json={"note": "It is better."})
    assert accepted.json() == {"candidate": done["best"], "prompt_version": "triage@2"}
    assert client.get("/api/v1/prompts/triage/versions/2").json()["note"] == "It is better."
    again = client.get(f"{PATH}/{found['id']}").json()
    versions = {one["id"]: one["prompt_version"] for one in again["candidates"]}
    assert versions[done["best"]] == "triage@2" and versions["c0"] is None
    page = client.get(PATH, params={"prompt": "triage", "limit": 1}).json()
    assert [one["id"] for one in page["items"]] == [found["id"]]
    assert client.get(PATH, params={"prompt": "triag"}).json()["items"] == []
    assert client.post(f"{PATH}/{found['id']}/stop").status_code == 409


def test_one_whose_workers_die_again_and_again_fails_and_goes_on_when_asked(
    client: TestClient, home: Home, actor: Actor, model: PromptedModel
) -> None:
    prepare(home, actor)
    made = client.post(PATH, json=model.plan()).json()
    reason = wear_out(home, made["job_id"], {JOB_KIND: die})
    failed = client.get(f"{PATH}/{made['id']}").json()
    assert (failed["state"], failed["error"]) == ("failed", reason)
    again = client.post(f"{PATH}/{made['id']}/resume", json={}).json()
    assert again["state"] == "queued" and again["job_id"] != made["job_id"]


def test_stopping_and_going_on(client: TestClient, home: Home, actor: Actor, model: PromptedModel) -> None:
    prepare(home, actor)
    found = client.post(PATH, json=model.plan(methods="few_shot", max_calls=20)).json()
    stopped = client.post(f"{PATH}/{found['id']}/stop").json()
    assert stopped["state"] == "cancelled"
    resumed = client.post(f"{PATH}/{found['id']}/resume", json={"max_calls": 400}).json()
    assert (resumed["state"], resumed["budget"]["calls"]) == ("queued", 400)
    assert resumed["job_id"] != found["job_id"]
    assert jobs.run_inline(home, resumed["job_id"], HANDLERS).state == "succeeded"
    assert client.get(f"{PATH}/{found['id']}").json()["state"] == "succeeded"


def test_on_the_command_line(sqlite_home: Home, tmp_path: Path, model: PromptedModel) -> None:
    prepare(sqlite_home, owner_of(sqlite_home))
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(model.plan(methods=["few_shot"], rows=16, held_out=0.3)))
    runner, where = CliRunner(), ["--home", str(sqlite_home.path)]
    done = runner.invoke(app, ["optimise", str(file), "--key", "k", *where])
    assert done.exit_code == 0, done.output
    assert "succeeded" in done.output and "few_shot" in done.output
    paid = model.paid.total()
    again = runner.invoke(app, ["optimise", str(file), "--key", "k", "--json", *where])
    found = json.loads(again.stdout)["optimisation"]
    assert (found["state"], model.paid.total()) == ("succeeded", paid)
    listed = runner.invoke(app, ["optimisations", "--prompt", "triage", "--json", *where])
    assert [one["id"] for one in json.loads(listed.stdout)] == [found["id"]]
    shown = runner.invoke(app, ["optimisation", found["id"], "--candidate", found["best"], *where])
    assert "assistant:" in shown.output
    accepted = runner.invoke(app, ["accept", found["id"], *where])
    assert "triage@2 was added" in accepted.output
    assert runner.invoke(app, ["optimisation", "opt_nothing", *where]).exit_code == 1
    resumed = runner.invoke(app, ["resume-optimisation", found["id"], *where])
    assert resumed.exit_code == 0 and model.paid.total() == paid
