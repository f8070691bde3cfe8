"""Optimisations over HTTP and on the command line."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.cli import models as cli
from penstock.core import jobs
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals.suite import Suite, to_spec
from penstock.optimise import jobs as handlers
from tests.optimise.shop import Children

STEPS = [{"method": "gguf", "options": {"quantization": q}} for q in ("q8_0", "q4_0")]


def given(suite: Suite) -> dict[str, Any]:
    spec = to_spec(suite)
    return {name: spec[name] for name in ("name", "dataset", "scorers")}


def test_an_optimisation_is_queued_done_and_shown(
    client: TestClient, home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    asked = {"version": "triage", "to": STEPS, "suite": given(suite), "choose": {"by": "size_bytes"}}
    started = client.post("/api/v1/optimise", json=asked)
    assert started.status_code == 201, started.text
    queued = started.json()
    assert (queued["state"], queued["parent"], queued["baseline"]["size_bytes"]) == (
        "queued",
        "triage@1",
        None,
    )
    jobs.run_inline(home, queued["job_id"], handlers.HANDLERS)
    found = client.get(f"/api/v1/optimise/{queued['id']}").json()
    assert (found["state"], found["chosen"]) == ("succeeded", "triage-gguf@1")
    first, second = found["variants"]
    assert (first["version"], first["tokens_per_s"], first["quality"]["worse"]) == (
        "triage-gguf@1",
        200.0,
        False,
    )
    assert (second["quality"]["worse"], second["error"]) == (True, None)
    assert found["edge"] == [1]
    listed = client.get("/api/v1/optimise?version=triage@1&limit=1").json()
    assert ([item["id"] for item in listed["items"]], listed["next"]) == ([queued["id"]], None)
    refused = client.post(f"/api/v1/optimise/{queued['id']}/cancel")
    assert refused.status_code == 409


def test_the_methods_are_described(client: TestClient) -> None:
    found = {item["name"]: item for item in client.get("/api/v1/optimise/methods").json()["items"]}
    known = {"merge", "gguf", "onnx", "ctranslate2", "torchao", "tensorrt", "prune", "distil"}
    assert set(found) == known
    assert found["gguf"]["main"] == "quantization"
    assert "q4_0" in str(found["gguf"]["options"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": "triage", "to": []}, 422),
        ({"version": "nope", "to": STEPS}, 404),
        ({"version": "triage", "to": [{"method": "zip"}]}, 400),
        ({"version": "triage", "to": STEPS, "suite": "nope"}, 404),
        ({"version": "triage", "to": STEPS, "suite": {"name": "x"}}, 400),
        ({"version": "triage", "to": STEPS, "choose": {"by": "luck"}}, 422),
    ],
)
def test_mistakes_over_http(client: TestClient, suite: Suite, body: dict[str, Any], status: int) -> None:
    answer = client.post("/api/v1/optimise", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert client.get("/api/v1/optimise/opt_nope").status_code == 404


def test_the_command_makes_measures_and_chooses(
    sqlite_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.conftest import owner_of
    from tests.optimise.shop import furnish

    suite = furnish(sqlite_home, owner_of(sqlite_home), tmp_path)
    scripted = Children()
    monkeypatch.setattr("penstock.optimise.making.run_child", scripted)
    monkeypatch.setattr("penstock.evals.child_target.run_child", scripted)
    file = tmp_path / "suite.yaml"
    file.write_text(f"name: triage\ndataset: {suite.dataset}\nscorers: [exact]\n")
    where = ["--home", str(sqlite_home.path)]
    runner = CliRunner()
    done = runner.invoke(
        cli.app,
        ["optimise", "triage", "--to", "gguf:q8_0", "--to", "gguf:q4_0", "--suite", str(file), *where],
    )
    assert done.exit_code == 0, done.output
    assert "triage-gguf@1 (gguf) is the cheapest by tokens_per_s" in done.output
    listed = runner.invoke(cli.app, ["optimisations", "triage@1", "--json", *where])
    assert '"chosen": "triage-gguf@1"' in listed.output
    wrong = runner.invoke(cli.app, ["optimise", "triage", "--to", "zip", *where])
    assert (wrong.exit_code, "no method 'zip'" in wrong.output) == (1, True)
