import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, cli, service
from tests.traces.build import call


@pytest.fixture
def spans(client: TestClient, home: Home, actor: Actor) -> list:
    made = [
        call(name="root", kind="agent", model=None, user="ada", start_ns=1_790_000_000_000_000_000),
        call(
            user="ada", tags=("t",), metadata={"a": "b"}, start_ns=1_790_000_001_000_000_000, status="error"
        ),
        call(user="bob", start_ns=1_790_000_002_000_000_000),
    ]
    service.ingest(home, actor.scope, made)
    background.catch_up(home)
    return made


def test_lists_page_and_filter(client: TestClient, spans: list) -> None:
    first = client.get("/api/v1/traces", params={"limit": 2}).json()
    assert [item["trace_id"] for item in first["items"]] == [spans[2].trace_id, spans[1].trace_id]
    assert first["items"][0]["spans"] == 1
    rest = client.get("/api/v1/traces", params={"limit": 2, "cursor": first["next"]}).json()
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["root"], None)
    for filters in (
        {"tag": "t"},
        {"status": "error"},
        {"metadata": "a=b"},
        {"user": "ada", "model": "gpt-4o-mini"},
    ):
        items = client.get("/api/v1/traces", params=filters).json()["items"]
        assert [item["trace_id"] for item in items] == [spans[1].trace_id], filters
    late = client.get("/api/v1/traces", params={"since": "2026-09-21T14:13:21.500000Z"}).json()["items"]
    assert [item["trace_id"] for item in late] == [spans[2].trace_id]


@pytest.mark.parametrize(
    "query",
    ["cursor=x", "cursor=WyJhIiwxXQ", "limit=0", "metadata=a", "kind=nope", "unknown=1", "since=never"],
)
def test_wrong_queries_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/api/v1/traces?{query}").status_code in (400, 422)


def test_a_trace_and_a_span(client: TestClient, spans: list) -> None:
    found = client.get(f"/api/v1/traces/{spans[1].trace_id}").json()
    assert (found["status"], found["cost_usd"], len(found["spans"])) == ("error", 0.000027, 1)
    assert found["spans"][0]["cached_tokens"] == 0
    detail = client.get(f"/api/v1/traces/{spans[1].trace_id}/spans/{spans[1].span_id}").json()
    assert detail["output"] == "on its way"
    assert detail["input"][0]["content"] == "where is my parcel"
    assert (detail["tags"], detail["metadata"]) == (["t"], {"a": "b"})
    assert client.get("/api/v1/traces/abc").status_code == 404
    assert client.get(f"/api/v1/traces/{spans[1].trace_id}/spans/00").status_code == 404
    assert client.delete(f"/api/v1/traces/{spans[1].trace_id}").status_code == 204
    assert client.get(f"/api/v1/traces/{spans[1].trace_id}").status_code == 404


def test_usage_series_and_export(client: TestClient, spans: list) -> None:
    (row,) = client.get("/api/v1/usage").json()["items"]
    assert (row["group"], row["calls"], row["input_tokens"], row["errors"]) == ("gpt-4o-mini", 2, 200, 1)
    by_user = client.get("/api/v1/usage", params={"group_by": "user", "until": "2026-09-21T14:13:22Z"}).json()
    assert [(item["group"], item["calls"]) for item in by_user["items"]] == [("ada", 1)]
    ends = {"since": "2026-09-21T14:00:00Z", "until": "2026-09-21T15:00:00Z", "bucket": 3600}
    (point,) = client.get("/api/v1/timeseries", params=ends).json()["items"]
    assert (point["time"], point["calls"]) == ("2026-09-21T14:00:00Z", 2)
    assert point["p50_ms"] == pytest.approx(250, rel=0.021)
    lines = client.get("/api/v1/traces/export", params={"user": "ada"}).text.splitlines()
    assert [json.loads(line)["span_id"] for line in lines] == [spans[1].span_id, spans[0].span_id]


def test_prices(client: TestClient) -> None:
    given = {"model": "m*", "provider": "local", "input": 1.5, "output": 2.0, "audio_input": 30}
    tier = {"above": 1000, "input": 3.0}
    assert client.put("/api/v1/prices", json=given | {"tiers": [tier]}).status_code == 204
    (only,) = client.get("/api/v1/prices").json()["items"]
    assert given.items() <= only.items()
    assert tier.items() <= only["tiers"][0].items()
    assert client.put("/api/v1/prices", json=given | {"input": -1}).status_code == 422
    assert client.put("/api/v1/prices", json=given | {"tiers": [tier, tier]}).status_code in (400, 422)
    assert client.put("/api/v1/prices", json=given | {"inptu": 1}).status_code == 422
    shown = client.get("/api/v1/prices/show", params={"model": "mine", "provider": "local"}).json()
    assert (shown["version"], shown["input"]) == (only["version"], 1.5)
    gone = client.delete("/api/v1/prices", params={"model": "m*", "provider": "local"})
    assert gone.status_code == 204
    assert client.get("/api/v1/prices").json()["items"] == []
    (ended,) = client.get("/api/v1/prices/history", params={"model": "m*"}).json()["items"]
    assert ended["until"] is not None
    assert client.get(f"/api/v1/prices/versions/{only['version']}").json() == ended
    assert client.get("/api/v1/prices/versions/own:nothing").status_code == 404


def test_the_book_is_shown_with_its_dates_and_a_whole_one_can_be_imported(client: TestClient) -> None:
    book = client.get("/api/v1/prices/book", params={"q": "gpt-5-mini"}).json()
    (listed,) = book["items"]
    assert listed["input"] == 0.25
    assert listed["sources"][0].startswith("https://")
    assert listed["as_of"] < book["version"]
    own = {"prices": [{"model": "gpt-5-mini", "price": {"input": 0.2, "output": 1.5}}]}
    assert client.post("/api/v1/prices/import", json=own).json() == {"changed": 1}
    assert client.post("/api/v1/prices/import", json=own).json() == {"changed": 0}
    shown = client.get("/api/v1/prices/show", params={"model": "gpt-5-mini-2025-08-07"}).json()
    assert shown["input"] == 0.2
    assert shown["own"]["model"] == "gpt-5-mini"
    assert client.post("/api/v1/prices/import", json={"prices": 1}).status_code in (400, 422)
    assert client.get("/api/v1/prices/show", params={"model": "nobody-knows-me"}).status_code == 404


def test_commands(sqlite_home: Home, tmp_path: Path) -> None:
    spans = [call(name="hello"), call(kind="tool", name="inner")]
    spans[1] = call(trace_id=spans[0].trace_id, parent_id=spans[0].span_id, kind="tool", name="inner")
    service.ingest(sqlite_home, Scope(), spans)
    runner, home = CliRunner(), ["--home", str(sqlite_home.path)]
    listed = runner.invoke(cli.app, ["list", "--json", *home])
    assert [item["trace_id"] for item in json.loads(listed.stdout)] == [spans[0].trace_id]
    shown = runner.invoke(cli.app, ["show", spans[0].trace_id, *home])
    assert shown.stdout.splitlines()[0].startswith("hello  [llm]  250.0 ms  100+20 tokens")
    assert shown.stdout.splitlines()[1].startswith("  inner  [tool]")
    target = tmp_path / "out.jsonl"
    assert runner.invoke(cli.app, ["export", "--to", str(target), *home]).exit_code == 0
    assert {json.loads(line)["span_id"] for line in target.read_text().splitlines()} == {
        s.span_id for s in spans
    }
    usage = runner.invoke(cli.app, ["usage", "--by", "kind", "--json", *home])
    assert {row["group"]: row["calls"] for row in json.loads(usage.stdout)} == {"llm": 1, "tool": 1}
    assert runner.invoke(cli.app, ["usage", "--by", "moon", *home]).exit_code == 1
    assert runner.invoke(cli.app, ["list", "--since", "soon", *home]).exit_code == 1
