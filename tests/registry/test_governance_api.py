"""Stages, requests, papers, lineage and lists over HTTP and on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from sqlalchemy import event
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.jobs.runner import run_inline
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Role
from penstock.registry import checks_api, cli, service, store
from penstock.registry import jobs as registry_jobs
from penstock.registry.model import Model
from tests.registry.folders import base_folder

pytestmark = pytest.mark.usefixtures("checks")
Run = Callable[..., str]


@pytest.fixture
def triage(home: Home, actor: Actor, tmp_path: Path) -> None:
    """Two versions of `triage`, made of data and a run, deployed and evaluated."""
    for number in (1, 2):
        folder = base_folder(tmp_path / str(number), {"n.txt": str(number)})
        links = [Link("training_run", f"run_{number}", "made by")]
        service.register(home, actor, name="triage", folder=folder, kind="base", lineage=links)
    with home.begin() as uow:
        uow.link(
            actor.scope, ("training_run", "run_1"), [Link("dataset_version", "tickets@1", "training data")]
        )
        uow.link(actor.scope, ("deployment", "desk@1"), [Link("model_version", "triage@1", "serves")])
        uow.link(actor.scope, ("eval_run", "evr_1"), [Link("model_version", "triage@1", "target")])


def headers(home: Home, actor: Actor, name: str, role: Role = Role.MEMBER) -> dict[str, str]:
    with home.begin() as uow:
        _, key = auth.create_key(uow, actor, name=name, role=role)
    return {"authorization": f"Bearer {key}"}


def test_a_version_waits_for_approval(client: TestClient, home: Home, actor: Actor, triage: None) -> None:
    rules = {"items": [{"stage": "production", "approvals": 1, "after": ["staging"]}]}
    put = client.put("/api/v1/models/stages", json=rules)
    assert put.status_code == 200, put.text
    assert client.get("/api/v1/models/stages").json() == put.json()
    at = "/api/v1/models/triage/versions/1"
    (blocked,) = [
        way for way in client.get(f"{at}/transitions").json()["items"] if way["stage"] == "production"
    ]
    assert (blocked["approvals"], len(blocked["reasons"])) == (1, 1)
    refused = client.put(f"{at}/stage", json={"stage": "production"})
    assert (refused.status_code, "reached from staging" in refused.json()["detail"]) == (403, True)
    assert client.put(f"{at}/stage", json={"stage": "staging", "comment": "try"}).status_code == 200
    asked = client.put(f"{at}/stage", json={"stage": "production", "comment": "better"})
    assert asked.status_code == 202
    request = asked.json()["request"]
    assert (request["ref"], request["state"], request["comment"]) == ("triage@1", "open", "better")
    decide = f"/api/v1/models/requests/{request['id']}"
    assert client.post(f"{decide}/approve", json={}).status_code == 403
    bob = headers(home, actor, "bob")
    client.cookies.clear()
    done = client.post(f"{decide}/approve", json={"reason": "measured"}, headers=bob)
    assert done.json()["state"] == "approved", done.text
    assert client.post(f"{decide}/reject", json={}, headers=bob).status_code == 409
    version = client.get(at, headers=bob).json()
    assert version["stage"] == "production"
    assert [(m["stage"], m["approved_by"]) for m in version["stage_history"]] == [
        ("production", ["bob"]),
        ("staging", []),
    ]
    listed = client.get("/api/v1/models/requests?state=approved&model=triage", headers=bob).json()
    assert [each["id"] for each in listed["items"]] == [request["id"]]
    assert client.put("/api/v1/models/stages", json={"items": []}, headers=bob).status_code == 403


def test_papers_card_and_manifest(client: TestClient, triage: None) -> None:
    at = "/api/v1/models/triage/versions/1"
    said = client.put(f"{at}/statement", json={"licence": "MIT", "intended_use": "tickets"}).json()
    assert (said["licence"], said["intended_use"], said["scan"]["safe"]) == ("MIT", "tickets", True)
    version = client.get(at).json()
    assert version["licence"] == "MIT"
    assert version["verdict"]["holds"]
    assert version["manifest"]["payloadType"] == "application/vnd.in-toto+json"
    assert {(e["kind"], e["ref"]) for e in version["evidence"]} == {
        ("deployment", "desk@1"),
        ("eval_run", "evr_1"),
    }
    generated = client.get(f"{at}/card").json()
    assert (generated["edited"], generated["text"]) == (False, generated["generated"])
    edited = client.put(f"{at}/card", json={"text": "# Mine"}).json()
    assert (edited["text"], edited["edited"], edited["generated"]) == ("# Mine", True, generated["text"])
    assert client.get(at).json()["card"] == "# Mine"
    assert client.put(f"{at}/card", json={"text": None}).json()["text"] == generated["text"]
    assert client.get(f"{at}/verify").json() == version["verdict"]
    assert client.post(f"{at}/scan").json()["scan"]["files"] == {"json": 1, "safetensors": 1, "text": 1}
    (key,) = client.get("/api/v1/models/signing-keys").json()["items"]
    assert key["key_id"] == version["verdict"]["key_id"]
    assert "private" not in key


def test_a_large_version_is_checked_by_a_job(
    home: Home, client: TestClient, triage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = "/api/v1/models/triage/versions/1"
    verdict = client.get(at).json()["verdict"]
    monkeypatch.setattr(checks_api, "WAITED_FOR", 1)
    for refused in (client.get(f"{at}/verify"), client.post(f"{at}/scan")):
        assert refused.status_code == 413
        assert "Let a job do it" in refused.text
    assert client.post("/api/v1/models/triage/versions/9/verify").status_code == 404
    asked = [client.post(f"{at}/verify"), client.post(f"{at}/scan/background")]
    assert [each.status_code for each in asked] == [202, 202]
    results = []
    for each in asked:
        run_inline(home, each.json()["job"], registry_jobs.HANDLERS)
        job = client.get(f"/api/v1/jobs/{each.json()['job']}").json()
        assert job["state"] == "succeeded", job
        results.append(job["result"])
    assert results[0] == verdict
    assert results[1]["scan"]["files"] == {"json": 1, "safetensors": 1, "text": 1}


def test_lineage_both_ways(client: TestClient, triage: None) -> None:
    at = "/api/v1/models/triage/versions/1/lineage"
    both = client.get(at).json()
    assert {(n["kind"], n["ref"]) for n in both["nodes"]} == {
        ("model_version", "triage@1"),
        ("training_run", "run_1"),
        ("dataset_version", "tickets@1"),
        ("deployment", "desk@1"),
        ("eval_run", "evr_1"),
        ("traces", "desk@1"),
    }
    assert {(e["from"], e["to"]) for e in both["edges"]} == {
        ("dataset_version:tickets@1", "training_run:run_1"),
        ("training_run:run_1", "model_version:triage@1"),
        ("model_version:triage@1", "deployment:desk@1"),
        ("model_version:triage@1", "eval_run:evr_1"),
        ("deployment:desk@1", "traces:desk@1"),
    }
    up = client.get(f"{at}?direction=up&depth=1").json()
    assert [n["kind"] for n in up["nodes"]] == ["model_version", "training_run"]
    assert not both["truncated"]
    assert client.get(f"{at}?direction=sideways").status_code == 422


def test_tags_stages_and_kinds_find_models(client: TestClient, triage: None) -> None:
    client.put("/api/v1/models/triage/tags/team-support")
    client.put("/api/v1/models/triage/versions/2/stage", json={"stage": "production"})

    def names(query: str) -> list[str]:
        return [each["name"] for each in client.get(f"/api/v1/models?{query}").json()["items"]]

    for query, found in (
        ("tag=team-support", True),
        ("tag=team-support&tag=x", False),
        ("query=SUPPORT", True),
        ("stage=production&kind=base", True),
        ("stage=staging", False),
        ("kind=adapter", False),
    ):
        assert names(query) == (["triage"] if found else []), query
    assert client.get("/api/v1/models/triage").json()["tags"] == ["team-support"]
    assert client.delete("/api/v1/models/triage/tags/team-support").json()["tags"] == []
    assert client.delete("/api/v1/models/triage/tags/team-support").status_code == 404
    assert client.put("/api/v1/models/triage/tags/No!").status_code == 400


def test_thousands_of_models_are_listed_in_pages_of_a_few_queries(
    client: TestClient, home: Home, actor: Actor
) -> None:
    with home.begin() as uow:
        for number in range(3000):
            model = Model(
                id=f"mdl_{number}",
                name=f"m-{number:04}",
                description=f"number {number}",
                created_at=clock.now(),
                versions=0,
                aliases={},
            )
            store.insert_model(uow.conn, actor.scope, model)
    statements = []
    event.listen(home.db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    names, cursor, pages = [], "", 0
    while cursor is not None:
        page = client.get(f"/api/v1/models?limit=200&cursor={cursor}").json()
        names += [each["name"] for each in page["items"]]
        cursor, pages = page["next"], pages + 1
    reads = [line for line in statements if "FROM registry_" in line]
    assert (len(names), names == sorted(names), pages) == (3000, True, 15)
    assert len(reads) == 4 * pages
    assert len(client.get("/api/v1/models?query=number 29&limit=200").json()["items"]) == 111


def test_folders_of_the_server_are_imported_by_admins_only(
    client: TestClient, home: Home, actor: Actor, tmp_path: Path
) -> None:
    wanted = {"source": "folder", "name": "m", "folder": str(base_folder(tmp_path / "m"))}
    member = headers(home, actor, "ann")
    owner = headers(home, actor, "olga", Role.ADMIN)
    client.cookies.clear()
    assert client.post("/api/v1/models/import", json=wanted, headers=member).status_code == 403
    started = client.post("/api/v1/models/import", json=wanted, headers=owner)
    assert started.status_code == 202, started.text
    hub = {"source": "hub", "name": "m", "repository": "acme/m"}
    assert client.post("/api/v1/models/import", json=hub, headers=member).status_code == 202


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli.app, [*arguments, "--home", str(tmp_path / "cli")])
        assert result.exit_code == code, result.output
        return result.output

    return invoke


def test_governance_on_the_command_line(run: Run, tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m")
    assert "Imported triage@1 (base" in run("import-folder", "triage", str(folder), "--licence", "MIT")
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump([{"stage": "production", "approvals": 1, "after": ["staging"]}]))
    assert json.loads(run("stages", "--file", str(rules), "--json"))[0]["approvals"] == 1
    assert "reached from staging" in run("stage", "triage@1", "production", code=1).replace("\n", " ")
    assert "triage@1 → staging" in run("stage", "triage@1", "staging")
    assert "others must approve srq_" in run("stage", "triage@1", "production")
    (request,) = json.loads(run("requests", "--json"))
    assert "asked for this yourself" in run("decide", request["id"], "--approve", code=1)
    assert "is rejected" in run("decide", request["id"], "--reject", "--reason", "no")
    assert json.loads(run("requests", "--json")) == []
    run("state", "triage", "--intended-use", "tickets")
    assert "## Intended use\n\ntickets" in run("card", "triage")
    card = tmp_path / "card.md"
    card.write_text("# Mine")
    assert run("card", "triage", "--edit", str(card)) == "# Mine\n"
    assert run("card", "triage", "--generated").startswith("# triage@1")
    assert "triage: team-a" in run("tag", "triage", "team-a")
    assert json.loads(run("list", "--tag", "team-a", "--json"))[0]["name"] == "triage"
    assert json.loads(run("list", "--stage", "production", "--json")) == []
    assert json.loads(run("lineage", "triage", "--json"))["nodes"]
    assert "Nothing in it runs code" in run("scan", "triage")
    assert "is what was signed" in run("verify", "triage@1")
    out = tmp_path / "out"
    run("export", "triage", "--to", str(out), "--as", "hf")
    assert "is what was signed" in run("verify", f"{out}/")
    (out / "config.json").write_text("{}")
    assert "config.json was changed" in run("verify", f"{out}/", code=3)
    (key,) = json.loads(run("signing-keys", "--json"))
    run("verify", f"{out}/", "--key", f"{key['key_id']}={key['public']}", code=3)
    assert "not up, down or both" in run("lineage", "triage", "--direction", "x", code=1)
    assert "cannot be written as" in run("export", "triage", "--to", "x", "--as", "zip", code=1)
    rules.write_text("a: 1")
    assert "not a list of rules" in run("stages", "--file", str(rules), code=1).replace("\n", " ")
