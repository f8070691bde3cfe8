"""Queries, histogram, facets and views over HTTP and on the command line; feedback that queries find."""

import asyncio
import json
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from typer.testing import CliRunner

from penstock.core.errors import Cancelled
from penstock.core.home import Home
from penstock.core.http.leaving import Reader
from penstock.core.scope import Actor
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork
from penstock.feedback import service as feedback
from penstock.traces import background, cli, service
from penstock.traces.model import SpanRecord
from penstock.traces.store.deadline import Deadline
from tests.traces.build import call

AT = 1_790_000_000_000_000_000


@pytest.fixture
def spans(client: TestClient, home: Home, actor: Actor) -> list[SpanRecord]:
    made = [
        call(user="ada", start_ns=AT, status="error", error="timed out"),
        call(user="bob", start_ns=AT + 10**9, output=b'"a refund at once"', metadata={"customer": "acme"}),
    ]
    service.ingest(home, actor.scope, made)
    background.catch_up(home)
    return made


def test_a_query_lists_with_snippets_and_pages(client: TestClient, spans: list[SpanRecord]) -> None:
    (item,) = client.get("/api/v1/traces", params={"query": "refund user:bob"}).json()["items"]
    assert item["trace_id"] == spans[1].trace_id
    snippet = item["snippet"]
    assert snippet["text"][slice(*snippet["marks"][0])] == "refund"
    assert snippet["span_id"] == spans[1].span_id
    first = client.get("/api/v1/traces", params={"query": "provider:openai", "limit": 1}).json()
    assert (first["items"][0]["trace_id"], first["items"][0]["snippet"]) == (spans[1].trace_id, None)
    more = client.get("/api/v1/traces", params={"query": "provider:openai", "cursor": first["next"]}).json()
    assert [item["trace_id"] for item in more["items"]] == [spans[0].trace_id]
    lines = client.get("/api/v1/traces/export", params={"query": "status:error"}).text.splitlines()
    assert [json.loads(line)["span_id"] for line in lines] == [spans[0].span_id]


def test_a_wrong_query_says_where(client: TestClient, spans: list[SpanRecord]) -> None:
    for path in ("/api/v1/traces", "/api/v1/traces/histogram", "/api/v1/traces/export"):
        answer = client.get(path, params={"query": "user:ada modle:x"})
        assert answer.status_code == 400, path
        assert answer.json()["errors"] == {"column": 10}
        assert "Did you mean 'model'?" in answer.json()["hint"]


def test_histogram_and_facets(client: TestClient, spans: list[SpanRecord]) -> None:
    ends = {"since": "2026-09-21T14:13:20Z", "until": "2026-09-21T14:13:22Z"}
    bars = client.get("/api/v1/traces/histogram", params={"buckets": 2, **ends}).json()["items"]
    assert bars == [
        {"at": "2026-09-21T14:13:20Z", "traces": 1, "errors": 1},
        {"at": "2026-09-21T14:13:21Z", "traces": 1, "errors": 0},
    ]
    found = client.get("/api/v1/traces/facets", params={"key": "user", "prefix": "a"}).json()["items"]
    assert found == [{"value": "ada", "traces": 1}]
    fields = client.get("/api/v1/traces/facets", params={"prefix": "met"}).json()["items"]
    assert [item["value"] for item in fields] == ["metadata.customer"]
    assert client.get("/api/v1/traces/facets", params={"key": "modle"}).status_code == 400
    assert client.get("/api/v1/traces/histogram", params={"buckets": 0}).status_code == 422


def test_views_are_saved_and_asked(client: TestClient, home: Home, spans: list[SpanRecord]) -> None:
    body = {"query": "status:error", "columns": ["name", "cost"], "shared": True}
    made = client.put("/api/v1/views/broken ones", json=body).json()
    assert {key: made[key] for key in body} == body
    assert made["owner"]
    assert client.get("/api/v1/views").json()["items"] == [made]
    assert client.get("/api/v1/views/broken ones").json() == made
    assert client.put("/api/v1/views/x", json={"query": "("}).status_code == 400
    runner = CliRunner()
    listed = runner.invoke(cli.app, ["list", "--view", "broken ones", "--json", "--home", str(home.path)])
    assert [item["trace_id"] for item in json.loads(listed.stdout)] == [spans[0].trace_id]
    both = ["list", "--view", "broken ones", "--query", "user:bob", "--json", "--home", str(home.path)]
    assert json.loads(runner.invoke(cli.app, both).stdout) == []
    save = ["views", "save", "of bob", "user:bob", "--home", str(home.path)]
    assert runner.invoke(cli.app, save).exit_code == 0
    shown = runner.invoke(cli.app, ["views", "list", "--json", "--home", str(home.path)])
    assert [view["name"] for view in json.loads(shown.stdout)] == ["broken ones", "of bob"]
    assert runner.invoke(cli.app, ["views", "delete", "of bob", "--home", str(home.path)]).exit_code == 0
    assert client.delete("/api/v1/views/broken ones").status_code == 204
    assert client.get("/api/v1/views").json()["items"] == []


def test_feedback_is_found_by_queries(
    client: TestClient, home: Home, actor: Actor, spans: list[SpanRecord]
) -> None:
    with home.begin() as uow:
        feedback.give(uow, actor, trace_id=spans[0].trace_id, name="thumb", value="down", subject="ada")
        feedback.give(uow, actor, trace_id=spans[1].trace_id, name="helpful", value=0.75)

    def found(query: str) -> list[str]:
        return [i["trace_id"] for i in client.get("/api/v1/traces", params={"query": query}).json()["items"]]

    assert found("feedback:down") == [spans[0].trace_id]
    assert found("score.helpful>0.7") == [spans[1].trace_id]
    with home.begin() as uow:
        feedback.erase(uow, actor, "ada")
    assert found("feedback:down") == []


def test_the_work_is_told_when_the_caller_leaves(home: Home) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    def work(uow: UnitOfWork, stop: Stop) -> str:
        del uow
        deadline = 6000
        while not stop.asked and deadline:
            threading.Event().wait(0.01)
            deadline -= 1
        if stop.asked:
            raise Cancelled("left")
        return "nobody left"

    async def asked() -> None:
        request = Request({"type": "http", "method": "GET", "headers": []}, receive)
        await Reader(request, home)(work)

    with pytest.raises(Cancelled):
        asyncio.run(asked())


@pytest.mark.parametrize(
    "path",
    ["traces?q=refund", "sessions?model=gpt-4o", "users?q=refund", "usage?group_by=tag", "timeseries?by=tag"],
)
def test_questions_that_may_take_long_are_stopped_when_the_caller_leaves(
    client: TestClient, spans: list[SpanRecord], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    asked: list[Stop] = []

    def told(self: Deadline, seconds: float, stop: Stop) -> None:
        asked.append(stop)
        made(self, seconds, stop)

    made = Deadline.__init__
    monkeypatch.setattr(Deadline, "__init__", told)
    watched: list[Stop] = []
    monkeypatch.setattr(Reader, "_watch", lambda self, stop: _noted(watched, stop))
    assert client.get(f"/api/v1/{path}").status_code == 200
    assert asked and watched == asked[:1]


async def _noted(watched: list[Stop], stop: Stop) -> None:
    watched.append(stop)
