"""Keeping over HTTP: policies, erase, redact, import, export."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.core import jobs
from penstock.core.auth import service as auth
from penstock.core.errors import Cancelled, NotFound
from penstock.core.home import Home
from penstock.core.http.leaving import Reader
from penstock.core.jobs import runner
from penstock.core.scope import Actor, Role
from penstock.core.stopping import Stop
from penstock.traces import background, importer, keeper, otlp_out, parquet, service
from penstock.traces import jobs as traces_jobs
from penstock.traces.importing import rows
from penstock.traces.importing.rows import Row
from penstock.traces.lines import as_line
from penstock.traces.settings import TracesSettings
from tests.traces.build import call
from tests.traces.import_samples import LANGFUSE_TRACE

POLICIES: dict[str, Any] = {
    "retention": {"days": 30, "traces": None},
    "sampling": [
        {
            "name": "busy",
            "rate": 0.1,
            "where": {"route": "chat"},
            "keep": {
                "errors": True,
                "slower_than_ms": 2000,
                "costlier_than_usd": None,
                "scores_below": {"thumb": 0.5},
                "judged": False,
            },
        }
    ],
    "masking": {
        "detectors": {"pii": {"kinds": ["email"]}},
        "patterns": [{"name": "ticket", "pattern": "T-[0-9]+", "replacement": None}],
        "keys": [{"key": "user", "action": "hash"}],
    },
}


@pytest.fixture
def member(client: TestClient, home: Home) -> dict[str, str]:
    """Headers of a key that may write and not administrate."""
    with home.begin() as uow:
        owner, _ = auth.ensure_owner(uow)
        _, secret = auth.create_key(uow, owner.actor(), name="m", role=Role.MEMBER)
    client.cookies.clear()
    return {"authorization": f"Bearer {secret}"}


def test_policies_are_set_and_shown(client: TestClient, home: Home) -> None:
    fresh = client.get("/api/v1/traces/policies").json()
    assert (fresh["effective"], fresh["updated_at"]) == ({"days": 0, "traces": 0}, None)
    put = client.put("/api/v1/traces/policies", json=POLICIES)
    assert put.status_code == 200, put.text
    found = client.get("/api/v1/traces/policies").json()
    assert found["policies"] == POLICIES and found["effective"] == {"days": 30, "traces": 0}
    assert found["updated_by"] and found["let_go"] == []
    assert client.put("/api/v1/traces/policies", json={}).json()["policies"]["sampling"] == []
    with home.read() as uow:
        query = "SELECT count(*) FROM core_audit WHERE action = 'traces.policies'"
        assert uow.conn.exec_driver_sql(query).scalar_one() == 2


@pytest.mark.parametrize(
    "document",
    [
        {"retention": {"days": -1}},
        {"sampling": [{"name": "x", "rate": 3}]},
        {"masking": {"patterns": [{"name": "x", "pattern": "("}]}},
        {"masking": {"detectors": {"nobody": {}}}},
        {"colour": 1},
    ],
)
def test_wrong_policies_are_refused(client: TestClient, document: dict[str, Any]) -> None:
    assert client.put("/api/v1/traces/policies", json=document).status_code in (400, 422)


def test_what_was_let_go_is_shown(client: TestClient, home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(start_ns=1_700_000_000_000_000_000)])
    background.catch_up(home)
    client.put("/api/v1/traces/policies", json={"retention": {"days": 1}})
    keeper.sweep(home)
    (row,) = client.get("/api/v1/traces/policies").json()["let_go"]
    assert (row["reason"], row["traces"], row["spans"]) == ("age", 1, 1)


def test_erase(client: TestClient, home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(user="ada"), call(user="bob")])
    url = "/api/v1/traces/erase"
    dry = client.post(url, json={"user": "ada", "dry_run": True}).json()
    assert dry == {"traces": 1, "spans": 1, "logs": 0, "left": 0, "dry_run": True}
    hidden = client.post(url, json={"user": "ada", "wait_seconds": 0})
    assert (hidden.status_code, hidden.json()) == (202, dry | {"left": 1, "dry_run": False})
    assert [item["user"] for item in client.get("/api/v1/traces").json()["items"]] == ["bob"]
    again = client.post(url, json={"user": "ada", "wait_seconds": 60})
    assert (again.status_code, again.json()["left"]) == (200, 0)
    assert client.post(url, json={}).status_code == 400
    assert client.post(url, json={"trace_ids": ["x"]}).status_code == 404


def test_redact(client: TestClient, home: Home, actor: Actor) -> None:
    spans = [call(route="a", output=b'"ada@example.com"'), call(route="b", output=b'"bob@example.com"')]
    service.ingest(home, actor.scope, spans)
    url = "/api/v1/traces/redact"
    pii = {"detectors": {"pii": {}}}
    assert client.post(url, json=pii | {"query": "route:a", "dry_run": True}).json() == {
        "looked_at": 1,
        "traces": 1,
        "spans": 1,
        "dry_run": True,
        "job": None,
    }
    assert client.post(url, json=pii | {"query": "route:a"}).json()["spans"] == 1
    assert client.post(url, json={"fields": ["output"], "filters": {"route": "b"}}).json()["spans"] == 1
    shown = [
        client.get(f"/api/v1/traces/{span.trace_id}/spans/{span.span_id}").json()["output"] for span in spans
    ]
    assert shown == ["[EMAIL]", "[MASKED]"]
    for wrong in ({}, pii, pii | {"query": "route:("}, pii | {"filters": {"colour": 1}}):
        assert client.post(url, json=wrong).status_code == 400, wrong


def test_a_preview_of_redaction_has_a_deadline(
    client: TestClient, home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.ingest(home, actor.scope, [call(output=b'"ada@example.com"')])
    monkeypatch.setitem(home.settings._built, "traces", TracesSettings(query_seconds=0.0))
    asked = {"detectors": {"pii": {}}, "filters": {}}
    answer = client.post("/api/v1/traces/redact", json=asked | {"dry_run": True})
    assert answer.status_code == 422
    assert "longer than 0 seconds" in answer.text
    assert client.post("/api/v1/traces/redact", json=asked).json()["spans"] == 1


def test_a_preview_of_redaction_watches_whether_its_caller_is_there(
    client: TestClient, home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Stop] = []
    given: list[Stop | None] = []
    preview = service.redact_traces

    async def noted(self: Reader, stop: Stop) -> None:
        watched.append(stop)

    def told(*args: Any, **named: Any) -> Any:
        given.append(named.get("stop"))
        return preview(*args, **named)

    monkeypatch.setattr(Reader, "_watch", noted)
    monkeypatch.setattr(service, "redact_traces", told)
    asked = {"detectors": {"pii": {}}, "filters": {}}
    assert client.post("/api/v1/traces/redact", json=asked | {"dry_run": True}).status_code == 200
    assert watched == given
    assert len(watched) == 1


def test_redacting_in_the_background(client: TestClient, home: Home, actor: Actor) -> None:
    spans = [call(route="a", output=b'"ada@example.com"') for _ in range(120)]
    kept = call(route="b", output=b'"bob@example.com"')
    service.ingest(home, actor.scope, [*spans, kept])
    url = "/api/v1/traces/redact"
    asked = {"detectors": {"pii": {}}, "query": "route:a", "background": True}
    for wrong in ({"detectors": {}}, {"query": None}, {"query": "route:("}):
        assert client.post(url, json=asked | wrong).status_code == 400, wrong
    assert client.post(url, json=asked | {"dry_run": True}).json()["traces"] == 120
    named = {"patterns": [{"name": "her", "pattern": "Ada Lovelace"}]}
    answer = client.post(url, json=asked | named).json()
    assert (answer["traces"], answer["dry_run"]) == (0, False)
    with home.read() as uow:
        spec = uow.conn.exec_driver_sql("SELECT CAST(spec AS TEXT) FROM core_jobs").scalar_one()
        assert "Lovelace" not in spec  # jobs stay on record
        before = service.get_span_body(uow, actor, trace_id=spans[0].trace_id, span_id=spans[0].span_id)
    assert before.output == b'"ada@example.com"'
    ended = jobs.run_inline(home, answer["job"], traces_jobs.HANDLERS)
    assert ended.result == {"looked_at": 120, "traces": 120, "spans": 120}
    assert ended.progress is not None and ended.progress["looked_at"] == 100
    outputs = {record.route: record.output for record in service.export_spans(home, actor)}
    assert outputs == {"a": b'"[EMAIL]"', "b": b'"bob@example.com"'}


def test_members_may_import_and_not_administrate(client: TestClient, member: dict[str, str]) -> None:
    assert client.get("/api/v1/traces/policies", headers=member).status_code == 200
    assert client.put("/api/v1/traces/policies", json={}, headers=member).status_code == 403
    assert client.post("/api/v1/traces/erase", json={"user": "a"}, headers=member).status_code == 403
    redaction = {"fields": ["x"], "filters": {}}
    assert client.post("/api/v1/traces/redact", json=redaction, headers=member).status_code == 403
    url = "/api/v1/traces/import?format=jsonl"
    assert client.post(url, content=as_line(call()), headers=member).json()["spans"] == 1


def test_import(client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(LANGFUSE_TRACE).encode() + b"\n{nonsense\n"
    done = client.post("/api/v1/traces/import?format=langfuse", content=body).json()
    assert (done["rows"], done["spans"], done["traces"], done["quarantined"]) == (2, 4, 1, 1)
    assert done["problems"][0]["line"] == 2
    assert client.get("/api/v1/traces").json()["items"][0]["name"] == "support-chat"
    assert client.post("/api/v1/traces/import?format=nothing", content=b"").status_code == 422
    assert client.post("/api/v1/traces/import?format=jsonl", content=b"a,b\n").status_code == 400
    assert list((home.path / "uploads").iterdir()) == []


@pytest.fixture
def queued(client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the job of an import of 250 spans and a broken row that was too large to wait for."""
    settings = home.settings.section(TracesSettings)
    monkeypatch.setitem(home.settings._built, "traces", replace(settings, inline_import_mb=0))
    body = b"".join(as_line(call()) for _ in range(250)) + b"{nonsense\n"
    answer = client.post("/api/v1/traces/import?format=jsonl", content=body)
    assert answer.status_code == 202 and answer.json()["spans"] == 0
    assert client.get("/api/v1/traces").json()["items"] == []
    return str(answer.json()["job"])


def test_a_large_import_is_a_job(queued: str, client: TestClient, home: Home, actor: Actor) -> None:
    ended = jobs.run_inline(home, queued, traces_jobs.HANDLERS)
    assert ended.result is not None and ended.state == "succeeded"
    assert {name: ended.result[name] for name in ("rows", "spans", "traces", "quarantined")} == {
        "rows": 251,
        "spans": 250,
        "traces": 250,
        "quarantined": 1,
    }
    assert ended.result["problems"][0]["line"] == 251
    assert ended.progress is not None and ended.progress["rows"] in (100, 200)
    assert len(list(service.export_spans(home, actor))) == 250
    assert list((home.path / "uploads").iterdir()) == []


def test_a_large_import_can_be_cancelled(
    queued: str, home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "_GROUP", 50)
    monkeypatch.setattr(runner, "_THROTTLE_SECONDS", 0.0)
    read = rows.read

    def cancelled_meanwhile(path: Path) -> Iterator[Row]:
        for row in read(path):
            if row.line == 60:
                with home.begin() as uow:
                    jobs.cancel(uow, actor, queued)
            yield row

    monkeypatch.setattr(rows, "read", cancelled_meanwhile)
    with pytest.raises(Cancelled):
        jobs.run_inline(home, queued, traces_jobs.HANDLERS)
    assert len(list(service.export_spans(home, actor))) in (50, 100, 150, 200)
    assert list((home.path / "uploads").iterdir()) == []


def test_an_import_whose_file_is_gone_says_so(queued: str, home: Home) -> None:
    for file in (home.path / "uploads").iterdir():
        file.unlink()
    with pytest.raises(NotFound, match="is gone"):
        jobs.run_inline(home, queued, traces_jobs.HANDLERS)


@pytest.mark.parametrize("format", ["jsonl", "parquet", "otlp", "otlp-protobuf"])
def test_export(client: TestClient, home: Home, actor: Actor, tmp_path: Path, format: str) -> None:
    spans = [call(model="a-1"), call(model="b-1")]
    service.ingest(home, actor.scope, spans)
    found = client.get("/api/v1/traces/export", params={"format": format, "query": "model:a-*"})
    assert found.status_code == 200 and "attachment" in found.headers["content-disposition"]
    if format == "jsonl":
        assert found.content == as_line(spans[0])
    elif format == "parquet":
        (tmp_path / "x").write_bytes(found.content)
        assert [row["span_id"] for row in parquet.rows(tmp_path / "x")] == [spans[0].span_id]
        assert list((home.path / "exports").iterdir()) == []
    else:
        encode = otlp_out.as_json_line if format == "otlp" else otlp_out.as_protobuf
        assert found.content == encode([spans[0]])
    assert (
        client.get("/api/v1/traces/export", params={"format": format, "query": "model:("}).status_code == 400
    )
    nothing = client.get("/api/v1/traces/export", params={"format": format, "user": "nobody"})
    assert nothing.status_code == 200


def test_spans_that_come_by_otlp_are_masked(client: TestClient, home: Home, member: dict[str, str]) -> None:
    with home.begin() as uow:
        owner, _ = auth.ensure_owner(uow)
        service.put_policies(uow, owner.actor(), POLICIES)
    span = call(user="ada", output=b'"mail ada@example.com about T-12"')
    headers = member | {"content-type": "application/x-protobuf"}
    answer = client.post("/v1/traces", content=otlp_out.as_protobuf([span]), headers=headers)
    assert answer.status_code == 200, answer.text
    url = f"/api/v1/traces/{span.trace_id}/spans/{span.span_id}"
    found = client.get(url, headers=member).json()
    assert found["output"][0]["parts"][0]["content"] == "mail [EMAIL] about [TICKET]"
    assert found["user"].startswith("hash:")
