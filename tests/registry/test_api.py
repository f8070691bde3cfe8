"""Models over HTTP and on the command line."""

import hashlib
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.registry import cli, service
from tests.registry.folders import base_folder


@pytest.fixture
def two_versions(home: Home, actor: Actor, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = base_folder(tmp_path / str(number), {"n.txt": str(number)})
        service.register(home, actor, name="triage", folder=folder, kind="base", metrics={"loss": number})


def test_a_model_its_versions_and_aliases(client: TestClient, two_versions: None) -> None:
    (item,) = client.get("/api/v1/models").json()["items"]
    assert (item["name"], item["versions"], item["aliases"]) == ("triage", 2, {"latest": 2})
    moved = client.put("/api/v1/models/triage/aliases/production", json={"version": 1})
    assert moved.json()["aliases"] == {"latest": 2, "production": 1}
    detail = client.get("/api/v1/models/triage?limit=1").json()
    assert ([v["number"] for v in detail["items"]], detail["next"]) == ([2], "2")
    assert [v["number"] for v in client.get("/api/v1/models/triage?cursor=2").json()["items"]] == [1]
    assert detail["history"][0]["version"] == 1
    version = client.get("/api/v1/models/triage/versions/2").json()
    assert {entry["path"] for entry in version["files"]} == {"config.json", "model.safetensors", "n.txt"}
    assert all(len(entry["sha256"]) == 64 for entry in version["files"])
    assert version["card"].startswith("# triage@2")
    assert version["metrics"] == {"loss": 2}
    staged = client.put("/api/v1/models/triage/versions/2/stage", json={"stage": "staging"})
    assert staged.json()["stage"] == "staging"


def test_the_bytes_of_a_file(client: TestClient, two_versions: None) -> None:
    version = client.get("/api/v1/models/triage/versions/2").json()
    for entry in version["files"]:
        answer = client.get(f"/api/v1/models/triage/versions/2/files/{entry['path']}")
        assert hashlib.sha256(answer.content).hexdigest() == entry["sha256"]
        assert answer.headers["content-length"] == str(entry["size"])
    assert client.get("/api/v1/models/triage/versions/2/files/..%2F..%2Fsecret.key").status_code == 404
    assert client.get("/api/v1/models/triage/versions/2/files/nope").status_code == 404


def test_an_export_is_a_job(client: TestClient, two_versions: None) -> None:
    started = client.post("/api/v1/models/triage/versions/1/export", json={"quantization": "q8_0"})
    assert started.status_code == 202
    job = client.get(f"/api/v1/jobs/{started.json()['job']}").json()
    assert job["kind"] == "registry.export"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/models/nope", 404),
        ("/models/triage/versions/9", 404),
        ("/models/Not%20OK", 400),
        ("/models?limit=0", 422),
    ],
)
def test_mistakes_over_http(client: TestClient, two_versions: None, path: str, status: int) -> None:
    answer = client.get(f"/api/v1{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_command_line(tmp_path: Path) -> None:
    home, folder = str(tmp_path / "home"), base_folder(tmp_path / "m")
    runner = CliRunner()

    def run(*arguments: str, code: int = 0) -> str:
        result = runner.invoke(cli.app, [*arguments, "--home", home])
        assert result.exit_code == code, result.output
        return result.output

    assert "Registered triage@1" in run(
        "register", "triage", str(folder), "--kind", "base", "--licence", "MIT"
    )
    assert json.loads(run("show", "triage", "--json"))["ref"] == "triage@1"
    run("alias", "triage", "production", "1")
    assert json.loads(run("list", "--json"))[0]["aliases"] == {"latest": 1, "production": 1}
    assert "## Licence\n\nMIT" in run("card", "triage@production")
    run("export", "triage", "--to", str(tmp_path / "out"))
    assert (tmp_path / "out" / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    assert "Nothing to do" in run("export", "triage", code=1)
    assert "There is no folder" in run("register", "x", str(tmp_path / "no"), "--kind", "base", code=1)
    assert "not a kind of model" in run("register", "x", str(folder), "--kind", "bse", code=1)
