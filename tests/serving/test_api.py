"""Deployments over HTTP and on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.registry import service as registry
from penstock.serving import cli
from penstock.serving.reconciler import Reconciler
from tests.conftest import owner_of
from tests.fakes.engine import FakeEngine

Make = Callable[[int], str]
Until = Callable[[Callable[[], bool]], None]


def test_from_first_deployment_to_removal(
    client: TestClient, home: Home, actor: Actor, engine: FakeEngine, until: Until, model: Make
) -> None:
    first, second = model(1), model(2)
    made = client.post("/api/v1/deployments", json={"name": "triage", "model": first})
    assert (made.status_code, made.json()["state"]) == (201, "starting")
    until(lambda: client.get("/api/v1/deployments/triage").json()["state"] == "ready")
    tried = client.post("/api/v1/deployments/triage/canary", json={"model": second, "weight": 0.2})
    assert (tried.json()["candidate"], tried.json()["weight"]) == (2, 0.2)
    assert client.post("/api/v1/deployments/triage/promote").status_code == 409
    until(lambda: client.get("/api/v1/deployments/triage").json()["versions"][0]["share"] == 0.2)
    report = client.get("/api/v1/deployments/triage/canary").json()
    assert [report[side]["endpoint"] for side in ("production", "canary")] == ["triage@1", "triage@2"]
    assert client.post("/api/v1/deployments/triage/promote").json()["production"] == 2
    assert client.post("/api/v1/deployments/triage/rollback").json()["production"] == 1
    detail = client.get("/api/v1/deployments/triage").json()
    assert [entry["action"] for entry in detail["history"]] == ["rollback", "promote", "canary", "deploy"]
    assert {version["part"] for version in detail["versions"]} == {"production", "previous"}
    assert [item["name"] for item in client.get("/api/v1/deployments").json()["items"]] == ["triage"]
    assert client.delete("/api/v1/deployments/triage").status_code == 204
    assert client.get("/api/v1/deployments/triage").status_code == 404


def test_mistakes_are_problem_documents(client: TestClient, engine: FakeEngine, model: Make) -> None:
    ref = model(1)
    for body, status in (
        ({"name": "x", "model": "nowhere@1"}, 404),
        ({"name": "x", "model": ref, "options": {"speed": 9}}, 400),
        ({"name": "x", "modle": ref}, 422),
    ):
        answer = client.post("/api/v1/deployments", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert client.post("/api/v1/deployments/x/rollback").status_code == 404


def test_the_command_line(tmp_path: Path, engine: FakeEngine) -> None:
    folder = tmp_path / "home"
    runner = CliRunner()

    def run(*arguments: str, code: int = 0) -> str:
        result = runner.invoke(cli.app, [*arguments, "--home", str(folder)])
        assert result.exit_code == code, result.output
        return result.output

    with Home.open(folder) as home:
        for number in (1, 2):
            weights = tmp_path / str(number)
            weights.mkdir()
            (weights / "m.gguf").write_bytes(b"GGUF" + bytes([3, 0, 0, 0, number]))
            registry.register(home, owner_of(home), name="triage", folder=weights, kind="gguf")
        reconciler = Reconciler(home, lambda name: engine)
        created = json.loads(run("create", "triage", "triage@1", "--option", "threads=2", "--json"))
        assert (created["state"], created["versions"][0]["version"]["options"]) == (
            "starting",
            {"threads": 2},
        )
        assert "no engine has been started" in run(
            "create", "triage", "triage@1", "--option", "threads=2", "--wait", "0.1", code=1
        )
        run("canary", "triage", "triage@2", "--weight", "0.5")
        while json.loads(run("status", "triage", "--json"))["versions"][0]["share"] != 0.5:
            reconciler.tick()
        assert "triage@2" in run("compare", "triage")
        assert "100%" in run("promote", "triage")
        assert json.loads(run("rollback", "triage", "--json"))["deployment"]["production"] == 1
        assert len(json.loads(run("list", "--json"))) == 1
        assert "Removed triage" in run("remove", "triage")
        assert "no deployment 'triage'" in run("status", "triage", code=1)
        assert "not NAME=VALUE" in run("create", "triage", "triage", "--option", "threads", code=1)
        reconciler.close()
