"""Cleaning a version: dry run, the next version, replay, splits, jobs; through service, HTTP and commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.jobs import Worker
from penstock.core.scope import Actor
from penstock.datasets import cleaning, programs, recipe, service
from penstock.datasets.cli import app
from penstock.datasets.jobs import HANDLERS

ROWS: list[dict[str, Any]] = [
    {"id": f"r{n}", "text": f"<p>the mail number {n} from ann{n}@example.com</p>", "label": "ab"[n % 2]}
    for n in range(40)
]
STEPS = [
    {"step": "html"},
    {"step": "sql", "query": "SELECT * FROM data WHERE label = 'a'"},
    {"step": "redact", "mode": "hash"},
]


@pytest.fixture
def mails(home: Home, actor: Actor) -> str:
    splits = {"train": 0.7, "test": 0.3}
    return service.ingest(home, actor, name="mails", source=ROWS, key="id", splits=splits).ref


def test_a_dry_run_tells_and_registers_nothing(home: Home, actor: Actor, mails: str) -> None:
    trial = cleaning.attempt(home, actor, mails, recipe.parse(STEPS), limit=10)
    assert (trial.rows_in, trial.rows_out, trial.complete) == (10, 5, False)
    assert [report.step for report in trial.reports] == ["html", "sql", "redact"]
    assert trial.reports[0].changed == 10
    assert trial.changes["rows"] == [10, 5]
    assert trial.changes["personal_data"][0] == {"email": 10}
    assert "[EMAIL:" in trial.rows[0]["text"]
    with home.read() as uow:
        assert len(service.list_versions(uow, actor, name="mails")) == 1
    assert list((home.path / "trials").iterdir()) == []


def test_rows_keep_their_split_and_the_recipe_runs_again(home: Home, actor: Actor, mails: str) -> None:
    given = {row.key: row.split for row in service.stored_rows(home, actor, mails)}
    version = cleaning.clean(home, actor, mails, recipe.parse(STEPS), description="clean")
    assert (version.ref, version.rows, version.key) == ("mails@2", 20, "id")
    made = {row.key: row.split for row in service.stored_rows(home, actor, version.ref)}
    assert made == {key: given[key] for key in made}
    assert [(link.kind, link.ref, link.role) for link in version.lineage] == [
        ("dataset_version", "mails@1", "source")
    ]
    again = cleaning.clean(home, actor, mails, cleaning.recorded(home, actor, version.ref))
    assert again.id == version.id
    with pytest.raises(Invalid, match="without a recipe"):
        cleaning.recorded(home, actor, mails)


def test_copies_stay_in_their_split_and_lose_the_key(home: Home, actor: Actor, mails: str) -> None:
    steps = recipe.parse([{"step": "swap", "lists": [], "pairs": [["mail", "letter"]]}])
    version = cleaning.clean(home, actor, mails, steps)
    assert (version.rows, version.key) == (80, None)
    found = list(service.stored_rows(home, actor, version.ref))
    assert all(first.split == second.split for first, second in zip(found[::2], found[1::2], strict=True))
    assert version.splits["train"] + version.splits["test"] == 80


def test_rows_of_no_line_have_no_split(home: Home, actor: Actor, mails: str) -> None:
    steps = recipe.parse([{"step": "sql", "query": "SELECT label, count(*) AS n FROM data GROUP BY label"}])
    with pytest.raises(Invalid, match="their split is unknown"):
        cleaning.clean(home, actor, mails, steps, key=False)
    assert cleaning.attempt(home, actor, mails, steps).rows_out == 2


def test_protected_sets_are_recorded_by_number(home: Home, actor: Actor, mails: str) -> None:
    service.ingest(home, actor, name="eval", source=[{"q": "the mail number 7 from ann7"}])
    steps = recipe.parse([{"step": "html"}, {"step": "decontaminate", "against": ["eval"]}])
    version = cleaning.clean(home, actor, mails, steps, to="safe")
    assert (version.ref, version.rows) == ("safe@1", 39)
    assert version.recipe is not None
    assert version.recipe["steps"][1]["against"] == ["eval@1"]
    assert ("eval@1", "protected") in [(link.ref, link.role) for link in version.lineage]
    left = list(service.left_out(home, actor, version.ref))
    assert [(row.line, row.reason) for row in left] == [(8, "contaminated: eval@1")]
    with pytest.raises(NotFound):
        missing = recipe.parse([{"step": "decontaminate", "against": ["none"]}])
        cleaning.clean(home, actor, mails, missing)


def test_python_is_recorded_and_never_runs_in_a_job(home: Home, actor: Actor, mails: str) -> None:
    def shout(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "text": row["text"].upper()}

    steps = recipe.parse([{"step": "python", "function": "shout"}])
    functions = {"shout": programs.of(shout)}
    version = cleaning.clean(home, actor, mails, steps, functions=functions)
    assert version.recipe is not None
    assert version.recipe["steps"][0]["sha256"] == functions["shout"].sha256
    assert next(service.rows(home, actor, version.ref))["text"].startswith("<P>THE MAIL")
    with pytest.raises(Invalid, match="runs no code of yours"):
        cleaning.clean(home, actor, mails, cleaning.recorded(home, actor, version.ref))
    with pytest.raises(Invalid, match="runs no code of yours"):
        cleaning.start(home, actor, cleaning.Cleaning(ref=mails, recipe=steps.plain()))


def ingest(client: TestClient) -> None:
    body = "\n".join(map(json.dumps, ROWS)).encode()
    made = client.post(
        "/api/v1/datasets/mails/versions", params={"filename": "m.jsonl", "key": "id"}, content=body
    )
    assert made.status_code == 201, made.text


def test_http(client: TestClient) -> None:
    ingest(client)
    url = "/api/v1/datasets/mails/versions/1"
    tried = client.post(f"{url}/clean", json={"recipe": STEPS, "dry_run": True})
    assert tried.status_code == 200, tried.text
    assert tried.json()["trial"]["rows_out"] == 20
    assert tried.json()["version"] is None
    made = client.post(f"{url}/clean", json={"recipe": STEPS})
    assert (made.status_code, made.json()["version"]) == (201, "mails@2")
    again = client.post(f"{url}/clean", json={"like": "mails@2", "to": "copy"})
    assert again.json()["version"] == "copy@1"
    detail = client.get("/api/v1/datasets/mails/versions/2").json()
    assert detail["recipe_report"][0]["changed"] == 40
    found = client.get("/api/v1/datasets/mails/versions/2/profile").json()
    assert (found["format"], found["rows"]) == (2, 20)
    assert found["before"]["rows"] == [40, 20]
    other = client.get("/api/v1/datasets/mails/versions/1/profile", params={"than": "mails@2"}).json()
    assert other["before"]["rows"] == [20, 40]
    refused = client.post(f"{url}/clean", json={"recipe": [{"step": "python", "function": "f"}]})
    assert refused.status_code in (400, 422)
    assert client.post(f"{url}/clean", json={}).status_code in (400, 422)
    rates = client.post(f"{url}/bias", json={"group": "label", "than": "mails@2"}).json()
    assert [one["rows"] for one in rates["groups"]] == [20, 20]
    assert rates["before"]["rows"] == [20, 40]


def test_a_large_version_becomes_a_job(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(client)
    monkeypatch.setattr(cleaning, "INLINE_ROWS", 10)
    queued = client.post("/api/v1/datasets/mails/versions/1/clean", json={"recipe": STEPS})
    assert queued.status_code == 202, queued.text
    assert Worker(home, HANDLERS).tick()
    job = client.get(f"/api/v1/jobs/{queued.json()['job']}").json()
    assert job["state"] == "succeeded", job
    assert client.get("/api/v1/datasets/mails").json()["items"][0]["rows"] == 20


def test_commands(tmp_path: Path, sqlite_home: Home, owner: Actor) -> None:
    service.ingest(sqlite_home, owner, name="mails", source=ROWS, key="id")
    steps = [*STEPS, {"step": "python", "function": "short", "does": "filter"}]
    (tmp_path / "r.yaml").write_text(json.dumps(steps))
    (tmp_path / "code.py").write_text("def short(row):\n    return len(row['text']) < 60\n")
    place = ["--home", str(sqlite_home.path)]
    options = [
        "clean",
        "mails",
        "--recipe",
        str(tmp_path / "r.yaml"),
        "--code",
        str(tmp_path / "code.py"),
        *place,
    ]
    tried = CliRunner().invoke(app, [*options, "--dry-run"])
    assert tried.exit_code == 0, tried.output
    assert "nothing was registered" in tried.output
    made = CliRunner().invoke(app, [*options, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["rows"] == 20
    again = CliRunner().invoke(app, ["clean", "mails@1", "--like", "mails@2", "--to", "more", *place])
    assert again.exit_code == 1
    shown = CliRunner().invoke(app, ["profile", "mails@2", *place])
    assert "20 rows" in shown.output
    assert "before → after, rows: 40 → 20" in shown.output
    rates = CliRunner().invoke(
        app, ["bias", "mails@1", "--group", "label", "--label", "label", "--positive", "a", *place]
    )
    assert "breaks the four-fifths rule" in rates.output
