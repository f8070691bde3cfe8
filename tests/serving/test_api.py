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


def test_running_deployments_are_changed_over_http(
    client: TestClient,
    home: Home,
    actor: Actor,
    engine: FakeEngine,
    until: Until,
    model: Make,
    tmp_path: Path,
) -> None:
    first, second = model(1), model(2)
    place = "/api/v1/deployments/triage"
    client.post("/api/v1/deployments", json={"name": "triage", "model": first, "memory_bytes": 10**9})
    until(lambda: client.get(place).json()["state"] == "ready")
    (replica,) = client.get(place).json()["replicas"]
    assert (replica["id"], replica["port"]) == ("1.0", int(replica["url"].rpartition(":")[2]))
    assert replica["ready_at"] == replica["since"]
    assert client.get(place).json()["autoscale"] is None
    rule = {"min": 1, "max": 3, "requests": 8, "latency_ms": 500}
    scaled = client.put(f"{place}/scale", json=rule).json()["autoscale"]
    assert scaled == {**rule, "idle": 300, "patience": 120}
    assert client.put(f"{place}/scale", json={"min": 3, "max": 1}).status_code == 400
    assert client.put(f"{place}/scale", json={}).status_code == 400
    client.put(f"{place}/scale", json={"replicas": 2})
    until(lambda: [each["state"] for each in client.get(place).json()["replicas"]] == ["ready", "ready"])
    changed = client.put(place, json={"model": second, "options": {"threads": 3}, "priority": 7}).json()
    assert (changed["production"], changed["model"], changed["options"]) == (2, second, {"threads": 3})
    assert (changed["priority"], changed["versions"][0]["wanted"]) == (7, 2)
    assert changed["versions"][0]["memory_bytes"] == 10**9, "what is not named stays"
    until(lambda: {each["id"] for each in client.get(place).json()["replicas"]} == {"2.0", "2.1"})
    assert client.post(f"{place}/retry").status_code == 200
    engine.launches[-1].log.write_text("first\nsecond\n")
    logged = client.get(f"{place}/logs", params={"tail": 1}).json()["items"]
    assert [each["lines"] for each in logged if each["lines"]] == [["second"]]
    manifest = client.get(f"{place}/manifest", params={"format": "ray"})
    assert "penstock.serving.engines.ray_app:build" in manifest.text
    assert client.get(f"{place}/manifest", params={"format": "nomad"}).status_code == 400
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    ref = registry.register(home, actor, name="legal", folder=folder, kind="adapter", base=second).ref
    put = client.put(f"{place}/adapters/legal", json={"model": ref})
    assert (put.status_code, put.json()["adapters"]) == (200, {"legal": ref})
    until(lambda: "legal" in client.get(place).json()["replicas"][0]["adapters"])
    assert client.delete(f"{place}/adapters/legal").json()["adapters"] == {}
    assert client.delete(f"{place}/adapters/legal").status_code == 404
    quota = {"replicas": 4, "memory_bytes": None, "gpus": 0}
    assert client.put("/api/v1/serving/quota", json=quota).json() == quota
    assert client.get("/api/v1/serving/quota").json() == quota
    actions = [entry["action"] for entry in client.get(place).json()["history"]]
    assert actions == ["adapter", "adapter", "retry", "deploy", "priority", "scale", "scale", "deploy"]


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
        assert (
            json.loads(run("scale", "triage", "--min", "0", "--max", "2", "--json"))["deployment"]["policy"][
                "autoscale"
            ]["max"]
            == 2
        )
        run("update", "triage", "--option", "threads=4", "--priority", "3", "--memory-gb", "1")
        updated = json.loads(run("status", "triage", "--json"))["versions"][0]["version"]
        assert (updated["options"], updated["memory_bytes"]) == ({"threads": 4}, 1024**3)
        run("retry", "triage")
        assert "kind: Deployment" in run("manifest", "triage")
        assert json.loads(run("quota", "--replicas", "5", "--json"))["replicas"] == 5
        assert json.loads(run("quota", "--clear", "--json"))["replicas"] is None
        assert run("logs", "triage").strip() == ""
        assert "either --model or --delete" in run("adapter", "triage", "legal", code=1)
        assert "serves no adapter" in run("adapter", "triage", "legal", "--delete", code=1)
        assert "Removed triage" in run("remove", "triage")
        assert "no deployment 'triage'" in run("status", "triage", code=1)
        assert "not NAME=VALUE" in run("create", "triage", "triage", "--option", "threads", code=1)
        reconciler.close()
        reconciler.end_measuring()
