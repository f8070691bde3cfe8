"""What values scores may have, on both databases."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.feedback.test_service import give, record_call
from typer.testing import CliRunner

from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.feedback import cli, score_configs, service
from penstock.feedback.model import Kind, ScoreConfig


def put(home: Home, actor: Actor, name: str, kind: str, **fields: Any) -> ScoreConfig:
    with home.begin() as uow:
        return score_configs.put_config(uow, actor, name=name, kind=kind, **fields)


def test_scores_are_held_to_their_config(home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "q", "a")
    put(home, actor, "stars", "number", low=1, high=5)
    put(home, actor, "tone", "categorical", options=["kind", "rude"])
    put(home, actor, "safe", "boolean")
    put(home, actor, "rating", "number", high=10)
    assert give(home, actor, trace, "stars", 5).number == 5
    tone = give(home, actor, trace, "tone", "rude")
    assert (tone.kind, tone.text, tone.number) == (Kind.LABEL, "rude", None)
    assert give(home, actor, trace, "safe", False).number == 0
    assert give(home, actor, trace, "rating", -3).kind is Kind.RATING
    wrong = [("stars", 0.5), ("stars", 6), ("stars", "5"), ("tone", "odd"), ("tone", 1), ("safe", 1)]
    for name, value in [*wrong, ("rating", 11)]:
        with pytest.raises(Invalid):
            give(home, actor, trace, name, value)
    with home.begin() as uow:
        assert [one.name for one in score_configs.list_configs(uow, actor)] == [
            "rating",
            "safe",
            "stars",
            "tone",
        ]
        score_configs.delete_config(uow, actor, name="stars")
        with pytest.raises(NotFound):
            score_configs.get_config(uow, actor, name="stars")
    assert give(home, actor, trace, "stars", 99).number == 99, "any number again"
    with home.read() as uow:
        assert len(service.list_feedback(uow, actor, trace_id=trace)) == 5


@pytest.mark.parametrize(
    ("name", "kind", "fields", "message"),
    [
        ("thumb", "boolean", {}, "fixed"),
        ("correction", "categorical", {"options": ["a", "b"]}, "fixed"),
        ("Bad Name", "number", {}, "not a name"),
        ("x", "poem", {}, "not a kind"),
        ("x", "number", {"low": 2, "high": 1}, "goes from"),
        ("x", "number", {"low": float("nan")}, "finite"),
        ("x", "boolean", {"low": 1}, "Only numbers"),
        ("x", "number", {"options": ["a", "b"]}, "Only categorical"),
        ("x", "categorical", {"options": ["a"]}, "different options"),
        ("x", "categorical", {"options": ["a", "a"]}, "different options"),
        ("x", "categorical", {"options": ["a", " "]}, "characters"),
    ],
)
def test_configs_that_do_not_fit_are_refused(
    home: Home, actor: Actor, name: str, kind: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        put(home, actor, name, kind, **fields)
    with home.read() as uow:
        assert score_configs.list_configs(uow, actor) == []


def test_a_config_holds_in_its_project_alone(home: Home, actor: Actor) -> None:
    put(home, actor, "stars", "number", low=1, high=5)
    for scope in (Scope("default", "other"), Scope("other", "default")):
        stranger = Actor(id="usr_x", name="x", role=Role.OWNER, scope=scope)
        with home.read() as uow:
            assert score_configs.list_configs(uow, stranger) == []
        trace = record_call(home, stranger, "q", "a")
        assert give(home, stranger, trace, "stars", 99).number == 99
    viewer = Actor(id="usr_v", name="v", role=Role.VIEWER)
    with pytest.raises(Denied):
        put(home, viewer, "stars", "boolean")


def test_over_http(client: TestClient) -> None:
    made = client.put("/api/v1/score-configs/tone", json={"kind": "categorical", "options": ["kind", "rude"]})
    assert made.status_code == 200, made.text
    assert made.json()["options"] == ["kind", "rude"]
    assert client.get("/api/v1/score-configs").json()["items"] == [made.json()]
    assert client.get("/api/v1/score-configs/tone").json() == made.json()
    assert client.put("/api/v1/score-configs/tone", json={"kind": "odd"}).status_code == 422
    assert client.delete("/api/v1/score-configs/tone").status_code == 204
    assert client.get("/api/v1/score-configs/tone").status_code == 404


def test_on_the_command_line(sqlite_home: Home) -> None:
    place = ["--home", str(sqlite_home.path)]
    run = CliRunner()
    made = run.invoke(cli.app, ["score", "stars", "--low", "1", "--high", "5", *place])
    assert made.exit_code == 0, made.output
    assert "1 to 5" in made.output
    run.invoke(cli.app, ["score", "tone", "--kind", "categorical", "--option", "a", "--option", "b", *place])
    listed = run.invoke(cli.app, ["scores", *place]).output
    assert "stars" in listed
    assert "a, b" in listed
    assert run.invoke(cli.app, ["score", "stars", "--delete", *place]).exit_code == 0
    assert "stars" not in run.invoke(cli.app, ["scores", *place]).output
