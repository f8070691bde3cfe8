"""What no client should send: each has a clear status, and nothing else is harmed."""

import gzip
import json
import resource
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.ids import new_span_id, new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import background, service, wire
from penstock.traces.model import SpanRecord
from penstock.traces.otlp_app import SIGNALS, OtlpApp
from penstock.traces.times import SENT_END, SENT_START
from tests.traces.otlp_build import as_json, request
from tests.traces.otlp_client import JSON, PROTOBUF, Answer, post


@pytest.fixture
def app(home: Home) -> Iterator[OtlpApp]:
    made = OtlpApp(home)
    yield made
    made.close()


@pytest.fixture
def key(home: Home, actor: Actor) -> dict[str, str]:
    with home.begin() as uow:
        return {"x-api-key": auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]}


def works(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    """An ordinary span is still taken, and found."""
    trace_id = new_trace_id()
    answer = post(app, request({"trace_id": trace_id}).SerializeToString(), PROTOBUF | key)
    assert (answer.status, answer.body) == (200, b"")
    with home.read() as uow:
        assert service.get_trace(uow, actor, trace_id=trace_id).summary.spans == 1
    assert app.receiver.room.taken == 0


def one(home: Home, actor: Actor, trace_id: str, span_id: str) -> SpanRecord:
    with home.read() as uow:
        return service.get_span_body(uow, actor, trace_id=trace_id, span_id=span_id)


def sent(app: OtlpApp, key: dict[str, str], home: Home, actor: Actor, **span: Any) -> SpanRecord:
    ids = {"trace_id": new_trace_id(), "span_id": new_span_id()}
    answer = post(app, request({**ids, **span}).SerializeToString(), PROTOBUF | key)
    assert (answer.status, answer.body) == (200, b"")
    return one(home, actor, **ids)


def said(span: SpanRecord) -> str:
    """Return what the user said in a call's one message."""
    [message] = json.loads(span.input or b"")
    [part] = message["parts"]
    return str(part["content"])


def partial(answer: Answer) -> tuple[int, str]:
    found = ExportTraceServiceResponse.FromString(answer.body).partial_success
    return found.rejected_spans, found.error_message


def test_truncated_protobuf_at_every_byte(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    trace_id = new_trace_id()
    whole = request({"trace_id": trace_id, "attributes": {"a": "b", "list": [1, {"x": 1.5}]}})
    data = whole.SerializeToString()
    for size in range(1, len(data)):
        answer = post(app, data[:size], PROTOBUF | key)
        assert answer.status == 400, size
    with home.read() as uow:
        assert not service.known(uow, actor, trace_ids=[trace_id])
    works(app, home, actor, key)


def test_a_span_that_is_not_utf_8_is_rejected_alone(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    trace_id = new_trace_id()
    good = request({"trace_id": trace_id}, {"trace_id": trace_id, "name": "MARK"}).SerializeToString()
    answer = post(app, good.replace(b"MARK", b"\xff\xfe\xfd\xfc"), PROTOBUF | key)
    assert answer.status == 200
    assert partial(answer)[0] == 1
    assert "UTF-8" in partial(answer)[1]
    with home.read() as uow:
        assert service.get_trace(uow, actor, trace_id=trace_id).summary.spans == 1


@pytest.mark.parametrize("path", sorted(SIGNALS))
@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"", 415),
        ("application/grpc", b"", 415),
        ("multipart/form-data", b"", 415),
        ("", b"", 415),
        ("application/x-protobuf", b"{}", 400),
        ("application/json", b"\x0a\x00", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"null", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"resourceSpans":1,"resourceLogs":1,"resourceMetrics":1}', 400),
        ("application/json", b'{"resourceSpans":[1],"resourceLogs":[1],"resourceMetrics":[1]}', 400),
        ("application/x-protobuf", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 400),
        ("application/x-protobuf", b"\x0b", 400),
    ],
)
def test_wrong_content(
    app: OtlpApp, key: dict[str, str], path: str, content_type: str, body: bytes, status: int
) -> None:
    answer = post(app, body, {"content-type": content_type} | key, path=path)
    assert answer.status == status, answer.body


def test_lone_surrogates(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    text = as_json(request({"name": "MARK"})).replace(b"MARK", rb"\ud83d")
    answer = post(app, text, JSON | key)
    assert answer.status == 400
    assert "JSON" in json.loads(answer.body)["message"]
    works(app, home, actor, key)


def test_nul_bytes_everywhere(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    nul = "a\x00b"
    span = sent(
        app,
        key,
        home,
        actor,
        name=nul,
        status=2,
        message=nul,
        attributes={
            nul: nul,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": nul,
            "session.id": nul,
            "user.id": nul,
            "input.value": nul,
            "metadata": json.dumps({nul: nul}),
            "tag.tags": [nul],
        },
        events=[(nul, 1, {nul: nul})],
    )
    assert span.attributes[nul] == nul
    assert said(span) == nul
    background.catch_up(home)
    works(app, home, actor, key)


DAY = 86_400 * 10**9


@pytest.mark.parametrize(
    ("start", "end"),
    [(1, 1), (1, 2**64 - 1), (2**64 - 1, 2**64 - 1), (2**63, 5), (-1, 0), (400 * DAY, 400 * DAY), (0, -1)],
)
def test_absurd_times(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], start: int, end: int
) -> None:
    """Negative numbers stand for nanoseconds ago; a span from the far future would lead every list forever."""
    now = clock.now_ns()
    given = (start if start > 0 else now + start * DAY, end if end > 0 else now + end * DAY)
    if start == 400 * DAY:
        given = (now + 400 * DAY, now + 400 * DAY)
    span = sent(app, key, home, actor, start_ns=given[0], end_ns=given[1])
    assert now - 2 * DAY < span.start_ns <= span.end_ns < now + DAY
    expected = {}
    if start not in (-1, 0):
        expected[SENT_START] = str(given[0])
    if end not in (-1, 0):
        expected[SENT_END] = str(given[1])
    assert {key: span.attributes.get(key) for key in expected} == expected
    background.catch_up(home)
    with home.read() as uow:
        assert service.list_traces(uow, actor).items
        assert service.usage(uow, actor, group_by="kind")


def test_the_same_ids_in_two_projects(app: OtlpApp, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
        secrets = {
            name: auth.create_key(uow, actor.within(name), name=name)[1] for name in ("default", "other")
        }
    ids = {"trace_id": new_trace_id(), "span_id": new_span_id()}
    for name, secret in secrets.items():
        body = request({**ids, "name": name}).SerializeToString()
        assert post(app, body, PROTOBUF | {"x-api-key": secret}).status == 200
    for name in secrets:
        assert one(home, actor.within(name), **ids).name == name
    service.delete_trace(home, actor.within("other"), trace_id=ids["trace_id"])
    assert one(home, actor, **ids).name == "default"


EVERY_TYPE: dict[str, Any] = {
    "text": "x",
    "true": True,
    "int": -(2**63),
    "float": 1.5,
    "bytes": b"\x00\xff",
    "list": [1, "a", None, [2.5, {"deep": [True]}]],
    "map": {"a": {"b": {"c": [1]}}},
    "empty": {},
    "none": [],
}


@pytest.mark.parametrize("field", ["", "gen_ai.request.model", "gen_ai.usage.input_tokens", "session.id",
                                   "user.id", "metadata", "tag.tags", "gen_ai.input.messages", "input.value",
                                   "gen_ai.response.time_to_first_chunk", "gen_ai.usage.cost",
                                   "llm.input_messages.0.message.content", "gen_ai.operation.name"])  # fmt: skip
def test_attributes_of_every_type(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], field: str
) -> None:
    if not field:
        span = sent(app, key, home, actor, attributes=EVERY_TYPE)
        assert span.attributes["list"] == [1, "a", None, [2.5, {"deep": [True]}]]
        assert span.attributes["bytes"] == "AP8="
        return
    for value in EVERY_TYPE.values():
        sent(app, key, home, actor, attributes={"gen_ai.operation.name": "chat", field: value})
    background.catch_up(home)
    works(app, home, actor, key)


def test_ten_thousand_attributes(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    many = {f"key-{number}": number for number in range(10_000)}
    labels = {f"langfuse.trace.metadata.k{number}": str(number) for number in range(10_000)}
    span = sent(app, key, home, actor, attributes=many | labels)
    assert len([key for key in span.attributes if key.startswith("key-")]) == 10_000
    assert len(span.metadata) >= 10_000
    background.catch_up(home)
    works(app, home, actor, key)


def _growth(used: int) -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - used


@pytest.mark.parametrize("path", sorted(SIGNALS))
@pytest.mark.parametrize("packing", ["gzip", "zstd", "deflate", "none"])
def test_bombs(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], path: str, packing: str) -> None:
    """A small body that unpacks to gigabytes, and small ones that hold millions of empty messages."""
    empty_groups = b"\x0a\x00" * (6 << 20)
    items = b"\x12\x00" * (4 << 20)
    scopes = wire.field(2, items)
    one_item = wire.field(1, wire.field(2, wire.field(2, b"\x4a\x00" * (4 << 20))))
    bodies = {
        "gzip": [gzip.compress(b"\x00" * (64 << 20), 1)],
        "zstd": [zstandard.compress(b"\x00" * (64 << 20))],
        "deflate": [zlib.compress(b"\x00" * (64 << 20), 1)],
        "none": [empty_groups, wire.field(1, scopes), one_item],
    }[packing]
    more = {} if packing == "none" else {"content-encoding": packing}
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for body in bodies:
        answer = post(app, body, PROTOBUF | more | key, path=path)
        assert answer.status in (400, 413), answer.body
    assert _growth(used) < 200 << 20
    works(app, home, actor, key)


def test_json_of_a_million_objects(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 3_000_000 + b"{}]}]}]}"
    assert post(app, body, JSON | key).status == 413
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 150_000 + b"{}]}]}]}"
    assert post(app, body, JSON | key).status == 413
    works(app, home, actor, key)


def test_a_span_of_5_megabytes(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    text = "All work and no play. " * (5 * 2**20 // 22)
    span = sent(app, key, home, actor, attributes={"input.value": text, "gen_ai.operation.name": "chat"})
    assert said(span) == text
    background.catch_up(home)
    works(app, home, actor, key)


def test_deep_parents_and_cycles(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    """A chain of 20,000 spans, a span that is its own parent, and two that are each other's."""
    trace_id = new_trace_id()
    chain = [f"{number:016x}" for number in range(1, 20_001)]
    for start in range(0, len(chain), 5000):
        part = [
            {
                "trace_id": trace_id,
                "span_id": one,
                "parent_id": chain[start + place - 1] if start + place else "",
            }
            for place, one in enumerate(chain[start : start + 5000])
        ]
        assert post(app, request(*part).SerializeToString(), PROTOBUF | key).status == 200
    ring = new_trace_id()
    a, b, c = (new_span_id() for _ in range(3))
    spans = [
        {"trace_id": ring, "span_id": a, "parent_id": b},
        {"trace_id": ring, "span_id": b, "parent_id": a},
        {"trace_id": ring, "span_id": c, "parent_id": c},
    ]
    assert post(app, request(*spans).SerializeToString(), PROTOBUF | key).status == 200
    background.catch_up(home)
    with home.read() as uow:
        assert len(service.get_trace(uow, actor, trace_id=trace_id).spans) == 20_000
        assert service.get_trace(uow, actor, trace_id=ring).summary.spans == 3
        assert len(service.list_traces(uow, actor).items) == 2
    works(app, home, actor, key)


def test_one_bad_batch_does_not_take_others_with_it(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that wait together are written together; one that cannot be written fails alone."""
    from penstock.traces import writer

    real = writer.write

    def fails(home: Home, known: Any, batch: Any) -> None:
        if any(item.row[2] == "poison" for item in batch):
            raise ValueError("cannot be written")
        real(home, known, batch)

    monkeypatch.setattr(writer, "write", fails)
    receiver = app.receiver
    with home.read() as uow:
        scope = actor.scope
        assert uow is not None
    outcomes: dict[str, BaseException | None] = {}
    queue = receiver._writer._queue
    with receiver._writer._ready:
        for name in ("first", "poison", "last"):
            data = request({"name": name}).SerializeToString()
            batch = receiver.work("traces", scope, data, "protobuf").batch
            queue.append((batch, lambda error, name=name: outcomes.update({name: error})))
        receiver._writer._ready.notify()
    app.close()
    assert isinstance(outcomes.pop("poison"), ValueError)
    assert outcomes == {"first": None, "last": None}
