"""End users' tokens: one trace, writing only, for a while; on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.feedback.test_service import record_call

from penstock.core import clock
from penstock.core.errors import Denied, Invalid, LimitExceeded, Unauthenticated
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.feedback import service, tokens
from penstock.traces import service as traces

PUBLIC = "/api/v1/feedback/public"


def make(home: Home, actor: Actor, trace_id: str, **options: Any) -> str:
    with home.read() as uow:
        return tokens.make(uow, actor, trace_id=trace_id, **options)[0]


def said(home: Home, actor: Actor) -> list[tuple[str, Any, str]]:
    with home.read() as uow:
        found = service.list_feedback(uow, actor)
    return [(one.name, one.number if one.text is None else one.text, one.comment) for one in reversed(found)]


def test_a_token_writes_on_its_trace_and_changes_its_mind(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = record_call(home, actor, "q", "a")
    token = make(home, actor, trace, subject="ada")
    tokens.give(home, token, name="thumb", value="up")
    tokens.give(home, token, name="comment", value="thanks")
    tokens.give(home, token, name="thumb", value="up")
    with pytest.raises(LimitExceeded):
        tokens.give(home, token, name="thumb", value="down")
    later = clock.now() + timedelta(seconds=5)
    monkeypatch.setattr(clock, "now", lambda: later)
    tokens.give(home, token, name="thumb", value="down", comment="on second thought")
    assert said(home, actor) == [("thumb", 0.0, "on second thought"), ("comment", "thanks", "")]
    with home.read() as uow:
        found = service.list_feedback(uow, actor, trace_id=trace)
        scores = {one.name: one.value for one in traces.scores_of(uow, actor, trace_id=trace)}
    assert {(one.trace_id, one.subject, one.source) for one in found} == {(trace, "ada", "end user")}
    assert scores == {"thumb": 0.0, "comment": None}


def test_a_token_gives_only_what_it_names(home: Home, actor: Actor) -> None:
    token = make(home, actor, record_call(home, actor, "q", "a"), names=["thumb", "stars"])
    tokens.give(home, token, name="stars", value=4)
    with pytest.raises(Denied):
        tokens.give(home, token, name="comment", value="no")
    with pytest.raises(Invalid):
        tokens.give(home, token, name="thumb", value="sideways")
    with pytest.raises(Invalid):
        tokens.give(home, token, name="thumb", value="up", comment="x" * 20_001)
    assert said(home, actor) == [("stars", 4.0, "")]


def test_a_token_ends_and_cannot_be_forged(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    token = make(home, actor, record_call(home, actor, "q", "a"), lifetime=timedelta(minutes=5))
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for wrong in ("", "psk_x", "pft_", "pft_x", changed, home.vault.seal(b"[]", purpose="other")):
        with pytest.raises(Unauthenticated):
            tokens.give(home, wrong, name="thumb", value="up")
    later = clock.now() + timedelta(minutes=6)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(Unauthenticated, match="ended"):
        tokens.give(home, token, name="thumb", value="up")
    assert said(home, actor) == []


def test_a_token_stays_in_its_tenant(home: Home, actor: Actor) -> None:
    stranger = Actor(id="usr_x", name="x", role=Role.MEMBER, scope=Scope("other", "default"))
    trace = record_call(home, actor, "q", "a")
    tokens.give(home, make(home, stranger, trace), name="thumb", value="up")
    assert said(home, actor) == []
    assert said(home, stranger) == [("thumb", 1.0, "")]


@pytest.mark.parametrize(
    "options",
    [{"names": []}, {"names": ["Bad Name"]}, {"lifetime": timedelta(days=8)}, {"lifetime": timedelta(0)}],
)
def test_tokens_that_cannot_be_made(home: Home, actor: Actor, options: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        make(home, actor, "0" * 31 + "1", **options)
    viewer = Actor(id="usr_v", name="v", role=Role.VIEWER)
    with pytest.raises(Denied):
        make(home, viewer, "0" * 31 + "1")


def test_over_http_from_any_site(client: TestClient, home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "q", "a")
    made = client.post("/api/v1/feedback/tokens", json={"trace_id": trace, "expires_in": 60})
    assert made.status_code == 201, made.text
    bearer = {"authorization": f"Bearer {made.json()['token']}", "origin": "https://shop.example"}
    client.cookies.clear()
    asked = client.options(PUBLIC, headers={"origin": "https://shop.example"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    given = client.post(PUBLIC, json={"name": "thumb", "value": "up"}, headers=bearer)
    assert (given.status_code, given.content) == (204, b"")
    assert given.headers["access-control-allow-origin"] == "*"
    refused = client.post(PUBLIC, json={"name": "tone", "value": 1}, headers=bearer)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (403, "*")
    assert client.post(PUBLIC, json={"name": "thumb", "value": "up"}).status_code == 401
    for path in ("/api/v1/feedback", f"/api/v1/traces/{trace}", "/api/v1/queues", "/api/v1/me"):
        assert client.get(path, headers=bearer).status_code == 401, "a token reads nothing"
    again = {"name": "thumb", "value": "down", "trace_id": trace}
    assert client.post("/api/v1/feedback", json=again, headers=bearer).status_code == 401
    assert said(home, actor) == [("thumb", 1.0, "")]
