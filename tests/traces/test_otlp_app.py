import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
import zstandard
from google.protobuf.message import Message
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from penstock.core.auth import service as auth
from penstock.core.errors import StorageFull
from penstock.core.home import Home
from penstock.core.ids import new_span_id, new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import service
from penstock.traces.otlp_app import OtlpApp
from tests.traces.otlp_build import as_json, logs_request, request
from tests.traces.otlp_client import PROTOBUF, Answer, post


@pytest.fixture
def app(home: Home) -> Iterator[OtlpApp]:
    made = OtlpApp(home)
    yield made
    made.close()


@pytest.fixture
def key(home: Home, actor: Actor) -> str:
    with home.begin() as uow:
        return auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]


def stored(home: Home, actor: Actor, trace_id: str) -> int:
    with home.read() as uow:
        known = service.known(uow, actor, trace_ids=[trace_id])
        return service.get_trace(uow, actor, trace_id=trace_id).summary.spans if known else 0


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
def test_each_key_header_and_encoding_works(
    app: OtlpApp, home: Home, actor: Actor, key: str, header: str
) -> None:
    auth_header = {header: f"Bearer {key}" if header == "authorization" else key}
    trace_id = new_trace_id()
    plain = [request({"trace_id": trace_id}) for _ in range(6)]
    raw = [message.SerializeToString() for message in plain]
    bodies = [
        (raw[0], PROTOBUF),
        (gzip.compress(raw[1]), PROTOBUF | {"content-encoding": "gzip"}),
        (zstandard.compress(raw[2]), PROTOBUF | {"content-encoding": "zstd"}),
        (zlib.compress(raw[3]), PROTOBUF | {"content-encoding": "deflate"}),
        (as_json(plain[4]), {"content-type": "application/json; charset=utf-8"}),
        (gzip.compress(as_json(plain[5])), {"content-type": "application/json", "content-encoding": "gzip"}),
    ]
    for number, (body, headers) in enumerate(bodies, start=1):
        answer = post(app, body, headers | auth_header, parts=3)
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"] == headers["content-type"].partition(";")[0]
        assert answer.body == (b"{}" if "json" in headers["content-type"] else b"")
        assert stored(home, actor, trace_id) == number


def test_sending_again_changes_nothing(app: OtlpApp, home: Home, actor: Actor, key: str) -> None:
    trace_id = new_trace_id()
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 9,
    }
    body = request({"trace_id": trace_id, "attributes": attributes}).SerializeToString()
    for _ in range(3):
        assert post(app, body, PROTOBUF | {"x-api-key": key}).status == 200
    with home.read() as uow:
        (row,) = service.usage(uow, actor)
    assert (row.calls, row.input_tokens) == (1, 9)
    assert stored(home, actor, trace_id) == 1


def status_of(answer: Answer) -> tuple[int, str]:
    if answer.headers["content-type"] == "application/json":
        found = json.loads(answer.body)
        return found["code"], found["message"]
    assert answer.body[0] == 0x08
    assert answer.body[2] == 0x12
    return answer.body[1], answer.body[3:].decode("utf-8", "ignore")


@pytest.mark.parametrize("content_type", ["application/x-protobuf", "application/json"])
def test_refusals_are_statuses_in_the_client_s_encoding(
    app: OtlpApp, home: Home, actor: Actor, key: str, content_type: str
) -> None:
    headers = {"content-type": content_type, "x-api-key": key}
    body = b"{}" if "json" in content_type else b""
    assert post(app, body, headers).status == 200
    cases: list[tuple[int, int, bytes, dict[str, str]]] = [
        (400, 3, b"\xff\xff\xff", {}),
        (400, 3, b"not gzip", {"content-encoding": "gzip"}),
        (400, 3, gzip.compress(body * 50)[:-9], {"content-encoding": "gzip"}),
        (400, 3, body, {"content-encoding": "br"}),
        (401, 16, body, {"x-api-key": "psk_wrong"}),
        (401, 16, body, {"x-api-key": ""}),
        (403, 7, body, {"x-penstock-project": "elsewhere"}),
        (413, 8, gzip.compress(b" " * (33 << 20)), {"content-encoding": "gzip"}),
        (413, 8, zstandard.compress(b" " * (33 << 20)), {"content-encoding": "zstd"}),
        (413, 8, body, {"content-length": str(1 << 30)}),
    ]
    for status, code, sent, more in cases:
        answer = post(app, sent, headers | more)
        assert answer.status == status, (more, answer.body)
        assert answer.headers["content-type"] == content_type
        assert status_of(answer)[0] == code
    assert post(app, body, headers | {"content-type": "text/plain"}).status == 415
    refused = post(app, body, headers, method="GET")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_spans_without_valid_ids_are_rejected_alone(app: OtlpApp, home: Home, actor: Actor, key: str) -> None:
    trace_id = new_trace_id()
    message = request(
        {"trace_id": trace_id}, {"trace_id": "0" * 32}, {"trace_id": trace_id, "span_id": "aabb"}
    )
    answer = post(app, message.SerializeToString(), PROTOBUF | {"x-api-key": key})
    found = ExportTraceServiceResponse.FromString(answer.body)
    assert (answer.status, found.partial_success.rejected_spans) == (200, 2)
    assert "trace id" in found.partial_success.error_message
    answer = post(app, as_json(message), {"content-type": "application/json", "x-api-key": key})
    assert json.loads(answer.body)["partialSuccess"]["rejectedSpans"] == "2"
    assert stored(home, actor, trace_id) == 1


def test_keys_enter_their_own_project_or_the_one_they_name(app: OtlpApp, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
        bound = auth.create_key(uow, actor.within("other"), name="bound")[1]
        free = auth.create_key(uow, actor, name="free", any_project=True)[1]
    trace_id = new_trace_id()
    body = request({"trace_id": trace_id}).SerializeToString()
    assert post(app, body, PROTOBUF | {"x-api-key": bound}).status == 200
    assert (stored(home, actor, trace_id), stored(home, actor.within("other"), trace_id)) == (0, 1)
    assert post(app, body, PROTOBUF | {"x-api-key": bound, "x-penstock-project": "default"}).status == 403
    assert post(app, body, PROTOBUF | {"x-api-key": free, "x-penstock-project": "nowhere"}).status == 404
    assert post(app, body, PROTOBUF | {"x-api-key": free}).status == 200
    assert stored(home, actor, trace_id) == 1


def test_a_revoked_key_is_refused_within_about_a_second(app: OtlpApp, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        made, secret = auth.create_key(uow, actor, name="short")
    assert post(app, b"", PROTOBUF | {"x-api-key": secret}).status == 200
    with home.begin() as uow:
        auth.revoke_key(uow, actor, key_id=made.id)
    deadline = time.monotonic() + 60
    while post(app, b"", PROTOBUF | {"x-api-key": secret}).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_full_disk_asks_to_come_back_and_stores_nothing(
    app: OtlpApp, home: Home, actor: Actor, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Any:
        raise StorageFull("The disk is full.")

    trace_id = new_trace_id()
    body = request({"trace_id": trace_id}).SerializeToString()
    assert post(app, b"", PROTOBUF | {"x-api-key": key}).status == 200
    with monkeypatch.context() as patched:
        patched.setattr(home, "begin", full)
        answer = post(app, body, PROTOBUF | {"x-api-key": key})
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert status_of(answer)[0] == 14
    assert stored(home, actor, trace_id) == 0
    assert post(app, body, PROTOBUF | {"x-api-key": key}).status == 200
    assert stored(home, actor, trace_id) == 1


def test_too_much_at_once_is_refused_until_there_is_room(app: OtlpApp, key: str) -> None:
    room = app.receiver.room
    room.taken = room.limit
    answer = post(app, b"", PROTOBUF | {"x-api-key": key})
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    room.taken = 0
    assert post(app, b"", PROTOBUF | {"x-api-key": key}).status == 200
    assert room.taken == 0


def test_while_the_spool_is_nearly_full_others_wait(
    app: OtlpApp, home: Home, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.path / "spool"
    folder.mkdir(exist_ok=True)
    with (folder / "seg_1.spool").open("wb") as segment:
        segment.truncate(900 << 20)
    answer = post(app, b"", PROTOBUF | {"x-api-key": key})
    assert (answer.status, status_of(answer)[0]) == (503, 14)
    assert int(answer.headers["retry-after"]) >= 1
    (folder / "seg_1.spool").unlink()
    monkeypatch.setattr(app.receiver, "_spool_looked", float("-inf"))
    assert post(app, b"", PROTOBUF | {"x-api-key": key}).status == 200


def test_a_slow_body_is_counted_while_it_arrives(app: OtlpApp, key: str) -> None:
    room = app.receiver.room
    room.limit = 1000
    body = request({"attributes": {"a": "b" * 3000}}).SerializeToString()
    answer = post(app, body, PROTOBUF | {"x-api-key": key}, parts=20)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert room.taken == 0


@pytest.fixture
def served(app: OtlpApp, free_port: int) -> Iterator[int]:
    config = uvicorn.Config(app, port=free_port, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield free_port
    server.should_exit = True
    thread.join()


def test_the_opentelemetry_sdk_sends_to_it(served: int, home: Home, actor: Actor, key: str) -> None:
    exporter = OTLPSpanExporter(
        f"http://127.0.0.1:{served}/v1/traces", headers={"authorization": f"Bearer {key}"}
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("agent", attributes={"gen_ai.operation.name": "invoke_agent"}) as root:
        with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}) as child:
            child.set_attribute("gen_ai.request.model", "gpt-4o")
            child.record_exception(ValueError("no"))
            child.set_status(otel.StatusCode.ERROR)
        trace_id = f"{root.get_span_context().trace_id:032x}"
    assert provider.force_flush()
    provider.shutdown()
    with home.read() as uow:
        found = service.get_trace(uow, actor, trace_id=trace_id)
    assert [(span.name, span.kind) for span in found.spans] == [("agent", "agent"), ("chat", "llm")]
    assert found.spans[1].error == "ValueError: no"
    assert found.spans[1].parent_id == found.spans[0].span_id
    assert found.summary.name == "agent"


SERVER = """
import sys, uvicorn
from penstock.core.home import Home
from penstock.traces.otlp_app import OtlpApp
home = Home.open(sys.argv[1])
uvicorn.run(OtlpApp(home), port=int(sys.argv[2]), lifespan="off", log_level="warning")
"""


def _send(port: int, key: str, message: Message, path: str = "/v1/traces") -> bool:
    target = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=message.SerializeToString(),
        headers=PROTOBUF | {"x-api-key": key},
    )
    try:
        with urllib.request.urlopen(target, timeout=10) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _start(home: Home, port: int) -> subprocess.Popen[bytes]:
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", SERVER, str(home.path), str(port)], env=environment)


class Load:
    """Clients that send until they are stopped, and remember what was acknowledged."""

    def __init__(self, port: int, key: str) -> None:
        self.acknowledged: dict[tuple[str, str], Message] = {}
        self.unsure: list[Message] = []
        self.logged: dict[tuple[str, str], Message] = {}
        """Log events that were acknowledged, by the span that they belong to: half come before it."""
        self._port, self._key = port, key
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def _client(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self._stop.is_set():
            trace_id = new_trace_id()
            spans = [
                {
                    "trace_id": trace_id,
                    "span_id": new_span_id(),
                    "attributes": {"input.value": "x" * rng.randrange(900)},
                }
                for _ in range(rng.randrange(1, 20))
            ]
            message = request(*spans)
            first = {"trace_id": trace_id, "span_id": spans[0]["span_id"]}
            event = logs_request({**first, "event": "gen_ai.choice", "body": {"message": {"content": "hi"}}})
            early = rng.random() < 0.5
            logged = early and _send(self._port, self._key, event, "/v1/logs")
            done = _send(self._port, self._key, message)
            logged = logged or _send(self._port, self._key, event, "/v1/logs")
            with self._lock:
                if logged:
                    self.logged[trace_id, spans[0]["span_id"]] = event
                if done:
                    self.acknowledged.update({(trace_id, span["span_id"]): message for span in spans})
                else:
                    self.unsure.append(message)
            if not done:
                self._stop.wait(0.05)

    def until_killed(self, child: subprocess.Popen[bytes], more: int) -> None:
        """Send from four threads until `more` spans were acknowledged, then kill the server under the load."""
        self._stop.clear()
        clients = [threading.Thread(target=self._client, args=(seed,)) for seed in range(4)]
        wanted = len(self.acknowledged) + more
        for client in clients:
            client.start()
        deadline = time.monotonic() + 60
        while len(self.acknowledged) < wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
        self._stop.set()
        for client in clients:
            client.join()
        assert len(self.acknowledged) >= wanted


def test_kill_9_loses_no_acknowledged_span_and_doubles_none(
    home: Home, actor: Actor, key: str, free_port: int
) -> None:
    load = Load(free_port, key)
    for _ in range(2):
        load.until_killed(_start(home, free_port), 400)
    child = _start(home, free_port)
    for message in [*load.unsure[:20], *list(load.acknowledged.values())[:20]]:
        deadline = time.monotonic() + 60
        while not _send(free_port, key, message):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    for event in list(load.logged.values())[:20]:
        assert _send(free_port, key, event, "/v1/logs")
    child.kill()
    child.wait()
    joined = sorted(set(load.logged) & set(load.acknowledged))
    assert len(joined) > 20
    with home.read() as uow:
        records = uow.conn.exec_driver_sql("SELECT trace_id, span_id FROM traces_logs")
        kept = [(bytes(row[0]).hex(), bytes(row[1]).hex()) for row in records]
        for trace_id, span_id in joined:
            span = service.get_span_body(uow, actor, trace_id=trace_id, span_id=span_id)
            assert b"hi" in (span.output or b"")
        rows = uow.conn.exec_driver_sql(
            "SELECT t.trace_id, s.span_id FROM traces_spans s JOIN traces_traces t ON t.id = s.trace"
        )
        found = [(bytes(row[0]).hex(), bytes(row[1]).hex()) for row in rows]
        counted = uow.conn.exec_driver_sql("SELECT sum(spans) FROM traces_traces").scalar()
        bodies = uow.conn.exec_driver_sql("SELECT count(*) FROM traces_bodies").scalar()
        usage = service.usage(uow, actor, group_by="kind")
    assert set(load.logged) <= set(kept)
    assert len(kept) == len(set(kept))
    assert set(load.acknowledged) <= set(found)
    assert len(found) == len(set(found)) == counted == bodies == sum(row.calls for row in usage)
