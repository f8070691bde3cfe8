import json
from pathlib import Path

import pytest

from penstock.sdk.client import Client
from penstock.sdk.errors import ConnectionFailed, Invalid
from tests.fakes.server import END, Received, ScriptedServer, chunk, stream_head
from tests.sdk.fake_server import FakeServer


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url, "psk_1")


def _asked(server: FakeServer) -> list[str]:
    return [f"{asked.method} {asked.path}" for asked in server.asked]


def test_traces_page_by_themselves_and_stop_when_left(client: Client, server: FakeServer) -> None:
    server.answer("GET /api/v1/traces", {"items": [{"trace_id": "a"}, {"trace_id": "b"}], "next": "c2"})
    server.answer("GET /api/v1/traces", {"items": [{"trace_id": "c"}], "next": None})
    found = client.traces.list('model:gpt-* text:"refund"', user="ada")
    assert next(found)["trace_id"] == "a"
    assert len(server.asked) == 1
    assert [trace["trace_id"] for trace in found] == ["b", "c"]
    query = "query=model%3Agpt-%2A+text%3A%22refund%22&user=ada"
    assert _asked(server) == [f"GET /api/v1/traces?{query}", f"GET /api/v1/traces?cursor=c2&{query}"]


def test_the_spans_of_a_trace_come_whole(client: Client, server: FakeServer) -> None:
    server.answer("GET /api/v1/traces/t", {"spans": [{"span_id": "1"}, {"span_id": "2"}]})
    server.answer("GET /api/v1/traces/t/spans/1", {"input": "a"})
    server.answer("GET /api/v1/traces/t/spans/2", {"input": "b"})
    assert [span["input"] for span in client.traces.spans("t")] == ["a", "b"]


def test_large_traces_and_comparisons_come_with_all_their_pages(client: Client, server: FakeServer) -> None:
    for path in ("traces/t", "traces/t/diff/u"):
        server.answer(f"GET /api/v1/{path}", {"name": "first", "spans": [{"span_id": "1"}], "next": "c2"})
        server.answer(f"GET /api/v1/{path}", {"name": "more", "spans": [{"span_id": "2"}], "next": None})
    assert client.traces.get("t") == {
        "name": "first",
        "spans": [{"span_id": "1"}, {"span_id": "2"}],
        "next": None,
    }
    assert [pair["span_id"] for pair in client.traces.diff("t", "u")["spans"]] == ["1", "2"]
    assert _asked(server)[1::2] == [
        "GET /api/v1/traces/t?cursor=c2",
        "GET /api/v1/traces/t/diff/u?cursor=c2",
    ]
    server.answer("GET /api/v1/traces/w", {"spans": [{"span_id": "1"}], "next": "c2"})
    server.answer("GET /api/v1/traces/w", {"spans": [{"span_id": "2"}], "next": None})
    for number in ("1", "2"):
        server.answer(f"GET /api/v1/traces/w/spans/{number}", {"input": number})
    assert [span["input"] for span in client.traces.spans("w")] == ["1", "2"]


def test_an_export_is_read_line_by_line(client: Client, server: FakeServer, tmp_path: Path) -> None:
    body = b'{"span_id": "1"}\n{"span_id": "2"}\n'
    server.answer("GET /api/v1/traces/export", {"detail": "busy"}, status=503, headers={"retry-after": "0"})
    server.answer("GET /api/v1/traces/export", body)
    assert [span["span_id"] for span in client.traces.export("status:error")] == ["1", "2"]
    path = client.traces.download(tmp_path / "traces.parquet", format="parquet", since="2026-11-01")
    assert path.read_bytes() == body
    assert server.asked[-1].path.endswith("format=parquet&since=2026-11-01")


def test_a_refused_export_leaves_no_file(client: Client, server: FakeServer, tmp_path: Path) -> None:
    server.answer("GET /api/v1/traces/export", {"detail": "No such field."}, status=422)
    with pytest.raises(Invalid, match="No such field"):
        client.traces.download(tmp_path / "traces.jsonl", "nonsense:1")
    assert list(tmp_path.iterdir()) == [tmp_path / "spool"] or list(tmp_path.iterdir()) == []


def _tail(request: Received) -> list[bytes | str]:
    lines = [b": here\n\n", b'event: trace\ndata: {"trace_id": "a"}\n\n', b"event: lost\ndata: 3\n\n"]
    lines.append(b'event: trace\r\ndata: {"trace_id": "b"}\r\n\r\n')
    end: bytes | str = "cut" if "query=cut" in request.path else END
    return [stream_head(), *(chunk(line) for line in lines), end]


def test_the_tail_yields_traces_as_they_come(tmp_path: Path) -> None:
    with ScriptedServer(_tail) as up:
        client = Client(up.url, "psk_1")
        assert [trace["trace_id"] for trace in client.traces.tail("status:error")] == ["a", "b"]
        broken = client.traces.tail("cut")
        assert next(broken)["trace_id"] == "a"
        with pytest.raises(ConnectionFailed):
            list(broken)
        for first in client.traces.tail("status:error"):
            assert first["trace_id"] == "a"
            break


def test_sessions_users_usage_and_views(client: Client, server: FakeServer) -> None:
    server.answer("GET /api/v1/sessions", {"items": [{"session": "s/1"}], "next": None})
    server.answer("GET /api/v1/sessions/s%2F1", {"turns": [{"input": "a"}], "next": "n"})
    server.answer("GET /api/v1/sessions/s%2F1", {"turns": [{"input": "b"}], "next": None})
    server.answer("GET /api/v1/users", {"items": [{"user": "ada"}], "next": None})
    server.answer("GET /api/v1/users/ada", {"user": "ada"})
    server.answer("GET /api/v1/usage", {"items": [{"group": "m", "calls": 3}], "next": None})
    server.answer("GET /api/v1/timeseries", {"items": [{"calls": 3}], "next": None})
    server.answer("PUT /api/v1/views/slow", {"name": "slow"})
    server.answer("DELETE /api/v1/views/slow", status=204)
    assert [one["session"] for one in client.sessions.list()] == ["s/1"]
    assert [turn["input"] for turn in client.sessions.turns("s/1")] == ["a", "b"]
    assert [one["user"] for one in client.users.list("status:error")] == ["ada"]
    assert client.users.get("ada") == {"user": "ada"}
    assert next(client.usage.by("provider", since="2026-11-01"))["calls"] == 3
    assert next(client.usage.over_time(model="m"))["calls"] == 3
    client.views.save("slow", query="latency>2s", columns=["model"], shared=True)
    client.views.delete("slow")
    put = next(asked for asked in server.asked if asked.method == "PUT")
    assert put.json() == {"query": "latency>2s", "columns": ["model"], "shared": True}


def test_logs_and_metrics(client: Client, server: FakeServer) -> None:
    server.answer("GET /api/v1/logs", {"items": [{"id": 2}], "next": "n"})
    server.answer("GET /api/v1/logs", {"items": [{"id": 1}], "next": None})
    server.answer("GET /api/v1/metrics/otlp", {"items": [{"name": "a/b"}], "next": None})
    server.answer("GET /api/v1/metrics/otlp/a%2Fb", {"items": [{"sum": 3}], "next": None})
    server.answer("POST /api/v1/traces/reprice", {"job": "job_1"})
    assert [one["id"] for one in client.logs.list(min_severity=17, q="boom")] == [2, 1]
    assert [one["name"] for one in client.metrics.list()] == ["a/b"]
    assert list(client.metrics.get("a/b", by="model")) == [{"sum": 3}]
    assert client.traces.reprice(since="2026-11-01T00:00:00Z", model="m") == {"job": "job_1"}
    put = next(asked for asked in server.asked if asked.method == "POST")
    assert put.json() == {"since": "2026-11-01T00:00:00Z", "dry_run": False, "model": "m"}


def test_letting_go_and_bringing_in(client: Client, server: FakeServer, tmp_path: Path) -> None:
    server.answer("POST /api/v1/traces/erase", {"traces": 2})
    server.answer("POST /api/v1/traces/redact", {"spans": 2})
    server.answer("POST /api/v1/traces/import", {"spans": 1})
    server.answer("GET /api/v1/traces/policies", {"retention": {}})
    server.answer("PUT /api/v1/traces/policies", {"retention": {"days": 30}})
    assert client.traces.erase(user="ada", dry_run=True, wait_seconds=60) == {"traces": 2}
    assert client.traces.redact(query="user:ada", fields=["email"]) == {"spans": 2}
    (tmp_path / "export.jsonl").write_text("{}\n")
    assert client.traces.upload(tmp_path / "export.jsonl", format="langfuse") == {"spans": 1}
    client.traces.set_policies(client.traces.policies() | {"retention": {"days": 30}})
    bodies = [json.loads(asked.body) for asked in server.asked[:2]]
    assert bodies == [
        {"user": "ada", "trace_ids": [], "dry_run": True, "wait_seconds": 60},
        {"query": "user:ada", "trace_ids": [], "fields": ["email"]},
    ]
    assert server.asked[2].body == b"{}\n"


def test_a_disk_that_is_full_is_no_fault_of_the_server(
    client: Client, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    server.answer("GET /api/v1/traces/export", b"{}\n")
    monkeypatch.setattr("penstock.sdk.transport.Stream.chunks", full)
    with pytest.raises(OSError, match="No space left"):
        client.traces.download(tmp_path / "traces.jsonl")
