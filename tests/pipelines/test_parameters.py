"""Parameters of written pipelines, and pipelines by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.pipelines import cli, service
from penstock.pipelines.documents import parse
from penstock.pipelines.model import RunState
from penstock.registry import service as registry
from tests.pipelines.stage import QUIET, furnish

NAMED: dict[str, Any] = {
    "name": "naming",
    "parameters": {"version": 1, "alias": None},
    "steps": [{"alias": {"model": "base@${parameters.version}", "alias": "${parameters.alias}"}}],
}


@pytest.fixture(autouse=True)
def base(home: Home, actor: Actor, tmp_path: Path) -> None:
    """The model `base@1`."""
    furnish(home, actor, tmp_path)


def test_what_is_given_wins_and_is_recorded(home: Home, actor: Actor) -> None:
    run, _ = service.start(home, actor, parse(NAMED), values={"alias": "best"}, as_job=False)
    ended = service.perform(home, actor, run_id=run.id, hooks=QUIET)
    assert ended.result_of("alias") == {"model": "base@1", "alias": "best"}
    assert ended.inputs == {
        "document": NAMED | {"steps": [{"name": "alias", **NAMED["steps"][0]}]},
        "values": {"alias": "best"},
    }
    with home.read() as uow:
        assert registry.get(uow, actor, ref="base@best").ref == "base@1"
        assert service.document(uow, actor, pipeline="naming") == parse(NAMED)


def test_other_values_are_another_run(home: Home, actor: Actor) -> None:
    first, _ = service.start(home, actor, parse(NAMED), values={"alias": "best"})
    assert service.start(home, actor, parse(NAMED), values={"alias": "best"})[0].id == first.id
    assert service.start(home, actor, parse(NAMED), values={"alias": "good"})[0].number == 2


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "needs alias"),
        ({"alias": "x", "vresion": 2}, "no parameter 'vresion'.*version"),
        ({"alias": "Not one"}, "alias"),
    ],
)
def test_values_that_cannot_work_are_refused_before_it_runs(
    home: Home, actor: Actor, values: dict[str, Any], why: str
) -> None:
    with pytest.raises(Invalid, match=why):
        service.start(home, actor, parse(NAMED), values=values)
    with home.read() as uow:
        assert service.list_runs(uow, actor) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"parameters": [1]}, "a table of names"),
        ({"parameters": {"a.b": 1}}, "not a name of a parameter"),
        ({"parameters": {"version": 1}}, "names no parameter"),
        (
            {"steps": [{"name": "parameters", "alias": {"model": "m@1", "alias": "x"}}]},
            "not a name of a step",
        ),
    ],
)
def test_parameters_that_are_wrong_are_named(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse(NAMED | change)


def test_over_http_and_on_the_command_line(
    client: TestClient, home: Home, actor: Actor, tmp_path: Path
) -> None:
    asked = {"document": NAMED, "values": {"alias": "best"}}
    first = client.post("/api/v1/pipelines/runs", json=asked).json()["run"]
    again = {"pipeline": "naming", "values": {"alias": "good"}}
    second = client.post("/api/v1/pipelines/runs", json=again).json()["run"]
    assert (second["number"], second["inputs"]["values"]) == (2, {"alias": "good"})
    (listed,) = client.get("/api/v1/pipelines").json()["items"]
    assert (listed["name"], listed["runs"], listed["latest"]["id"]) == ("naming", 2, second["id"])
    assert listed["document"]["parameters"] == {"version": 1, "alias": None}
    for wrong in ({}, {"pipeline": "naming", "document": NAMED}):
        assert client.post("/api/v1/pipelines/runs", json=wrong).status_code == 400
    assert client.post("/api/v1/pipelines/runs", json={"pipeline": "none"}).status_code == 404
    other = client.post(
        "/api/v1/pipelines/runs", json={"document": {**NAMED, "name": "zoo"}, "values": {"alias": "a"}}
    )
    page = client.get("/api/v1/pipelines", params={"limit": 1}).json()
    assert [page["items"][0]["name"], page["next"]] == ["naming", "naming"]
    assert client.get("/api/v1/pipelines", params={"cursor": "naming"}).json()["items"][0]["name"] == "zoo"
    runs = client.get("/api/v1/pipelines/runs", params={"pipeline": "zoo", "state": "waiting"}).json()[
        "items"
    ]
    assert [run["id"] for run in runs] == [other.json()["run"]["id"]]
    assert client.get("/api/v1/pipelines/runs", params={"state": "failed"}).json()["items"] == []
    file = tmp_path / "naming.yaml"
    file.write_text(yaml.safe_dump(NAMED))
    ended = CliRunner().invoke(
        cli.app, ["run", str(file), "--set", "alias=best", "--fresh", "--home", str(home.path)]
    )
    assert ended.exit_code == 0, ended.output
    with home.read() as uow:
        assert service.list_runs(uow, actor, pipeline="naming")[0].state is RunState.SUCCEEDED
        assert service.get(uow, actor, run_id=first["id"]).state is RunState.WAITING
