"""What became of a prompt's versions: joined from traces, feedback and the prompts themselves."""

from starlette.testclient import TestClient

from penstock.core import clock, ids
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Scope
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord, TraceScore


def span(prompt: str, *, error: str | None = None, cost: float = 0.5, seconds: int = 1) -> SpanRecord:
    now = clock.now_ns()
    return SpanRecord(
        trace_id=ids.new_trace_id(),
        span_id=ids.new_span_id(),
        name="chat",
        kind="llm",
        start_ns=now,
        end_ns=now + seconds * 10**9,
        status="error" if error else "ok",
        error=error,
        model="m",
        provider="p",
        route="support",
        cost_usd=cost,
        prompt=prompt,
    )


def test_usage_per_version(client: TestClient, home: Home) -> None:
    for text in ("one", "two", "three"):
        client.post("/api/v1/prompts/p/versions", json={"kind": "text", "text": text})
    client.put("/api/v1/prompts/p/labels/production", json={"version": 2})
    spans = [span("p@1", seconds=2), span("p@1", error="x", seconds=2), span("p@2", cost=0.25), span("q@1")]
    traces.ingest(home, Scope(), spans)
    scores = [
        TraceScore(trace_id=spans[0].trace_id, ref="f1", origin="feedback", name="thumb", value=1.0),
        TraceScore(trace_id=spans[1].trace_id, ref="f2", origin="feedback", name="thumb", value=0.0),
        TraceScore(trace_id=spans[1].trace_id, ref="f3", origin="feedback", name="comment", value=None),
        TraceScore(trace_id=spans[1].trace_id, ref="e1", origin="evals", name="exact", value=0.75),
        TraceScore(trace_id=spans[3].trace_id, ref="f4", origin="feedback", name="thumb", value=1.0),
    ]
    with home.begin() as uow:
        traces.put_scores(uow, Scope(), scores=scores)
    second, first = client.get("/api/v1/prompts/p/usage").json()["items"]
    assert (first["version"], first["calls"], first["errors"], first["cost_usd"]) == (1, 2, 1, 1.0)
    assert (first["score"], first["feedback"]) == (0.75, 0.5)
    assert [(s["origin"], s["name"], s["count"]) for s in first["scores"]] == [
        ("evals", "exact", 1),
        ("feedback", "thumb", 2),
    ]
    assert 1950 < first["p50_ms"] < 2050
    assert (second["version"], second["labels"], second["cost_usd"]) == (2, ["production"], 0.25)
    assert (second["score"], second["feedback"], second["scores"]) == (None, None, [])
    later = clock.iso(clock.from_ns(clock.now_ns() + 3600 * 10**9))
    assert client.get(f"/api/v1/prompts/p/usage?since={later}").json()["items"] == []
    assert client.get("/api/v1/prompts/nope/usage").status_code == 404


def test_where_used_tells_who_relies_on_a_prompt(client: TestClient, home: Home) -> None:
    client.post("/api/v1/prompts/tone/versions", json={"kind": "text", "text": "Be kind."})
    for text in ("{% include 'tone' %}{% include 'tone@1' %}", "{% include 'tone' %} more"):
        client.post("/api/v1/prompts/top/versions", json={"kind": "text", "text": text})
    traces.ingest(home, Scope(), [span("tone@1"), span("tone@1")])
    with home.begin() as uow:
        uow.link(Scope(), ("eval_run", "evr_1"), [Link("prompt_version", "tone@1", "target")])
    found = client.get("/api/v1/prompts/tone/where-used?limit=2").json()
    assert [(use["prompt"], use["version"], use["reference"]) for use in found["items"]] == [
        ("top", 2, "tone"),
        ("top", 1, "tone"),
    ]
    rest = client.get(f"/api/v1/prompts/tone/where-used?limit=2&cursor={found['next']}").json()
    assert ([use["reference"] for use in rest["items"]], rest["next"]) == (["tone@1"], None)
    assert found["items"][0]["labels"] == ["latest"]
    assert {"version": 1, "by": "route", "name": "support", "calls": 2} in found["callers"]
    assert found["made"] == [{"version": 1, "kind": "eval_run", "ref": "evr_1", "role": "target"}]
