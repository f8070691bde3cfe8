import gzip
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard
from starlette.testclient import TestClient

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.ids import new_span_id, new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import background, log_service, service
from penstock.traces.log_model import LogFilters, LogRecord
from penstock.traces.model import SpanRecord, TraceFilters
from penstock.traces.otlp_app import OtlpApp
from tests.traces.otlp_build import logs_as_json, logs_request, request
from tests.traces.otlp_client import JSON, PROTOBUF, Answer, post

MESSAGES = [
    {"event": "gen_ai.system.message", "body": {"content": "Be short."}},
    {"event": "gen_ai.user.message", "body": {"content": "Where is my parcel?"}},
    {
        "event": "gen_ai.choice",
        "body": {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "In Bremen."},
        },
    },
]


@pytest.fixture
def app(home: Home) -> Iterator[OtlpApp]:
    made = OtlpApp(home)
    yield made
    made.close()


@pytest.fixture
def key(home: Home, actor: Actor) -> dict[str, str]:
    with home.begin() as uow:
        return {"x-api-key": auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]}


class Call:
    """A model call whose span and log events can be sent in any order."""

    def __init__(self, app: OtlpApp, key: dict[str, str], **span: Any) -> None:
        self.app, self.key = app, key
        self.ids = {"trace_id": new_trace_id(), "span_id": new_span_id()}
        self.at = clock.now_ns()
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
        attributes |= span.pop("attributes", {})
        self.span = request({**self.ids, "start_ns": self.at, "attributes": attributes, **span})

    def record(self, number: int, **fields: Any) -> dict[str, Any]:
        return {**self.ids, "at_ns": self.at + number, **fields}

    def send_span(self) -> None:
        answer = post(self.app, self.span.SerializeToString(), PROTOBUF | self.key)
        assert (answer.status, answer.body) == (200, b"")

    def send_logs(self, *records: dict[str, Any]) -> None:
        answer = send(self.app, self.key, *records)
        assert (answer.status, answer.body) == (200, b"")

    def stored(self, home: Home, actor: Actor) -> SpanRecord:
        with home.read() as uow:
            return service.get_span_body(uow, actor, **self.ids)


def send(app: OtlpApp, key: dict[str, str], *records: dict[str, Any]) -> Answer:
    return post(app, logs_request(*records).SerializeToString(), PROTOBUF | key, path="/v1/logs")


def listed(home: Home, actor: Actor, **filters: Any) -> list[LogRecord]:
    with home.read() as uow:
        return list(log_service.list_logs(uow, actor, filters=LogFilters(**filters)).items)


ORDERS = list(itertools.permutations(["span", "asked", "answered"]))


@pytest.mark.parametrize("order", ORDERS)
def test_messages_join_their_span_whichever_comes_first(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], order: tuple[str, ...]
) -> None:
    call = Call(app, key)
    records = [call.record(number, **message) for number, message in enumerate(MESSAGES)]
    for step in order:
        if step == "span":
            call.send_span()
        else:
            call.send_logs(*(records[:2] if step == "asked" else records[2:]))
        background.catch_up(home)
    span = call.stored(home, actor)
    assert json.loads(span.input or b"") == [
        {"role": "system", "parts": [{"type": "text", "content": "Be short."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Where is my parcel?"}]},
    ]
    (said,) = json.loads(span.output or b"")
    assert (said["role"], said["finish_reason"]) == ("assistant", "stop")
    assert said["parts"] == [{"type": "text", "content": "In Bremen."}]
    with home.read() as uow:
        (row,) = service.list_traces(uow, actor).items
        found = service.list_traces(uow, actor, filters=TraceFilters(q="parcel bremen")).items
        (usage,) = service.usage(uow, actor)
    assert "parcel" in (row.input_preview or "")
    assert "Bremen" in (row.output_preview or "")
    assert [one.trace_id for one in found] == [call.ids["trace_id"]]
    assert usage.calls == 1


def test_any_order_and_any_repetition_end_alike(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    rng = random.Random(7)
    for _ in range(8):
        call = Call(app, key)
        records = [call.record(number, **message) for number, message in enumerate(MESSAGES)]
        steps = [*records, *records, None, None]
        rng.shuffle(steps)
        for step in steps:
            if step is None:
                call.send_span()
            else:
                call.send_logs(step)
            if rng.random() < 0.3:
                background.catch_up(home)
        span = call.stored(home, actor)
        assert [one["role"] for one in json.loads(span.input or b"")] == ["system", "user"]
        assert len(json.loads(span.output or b"")) == 1
        with home.read() as uow:
            assert len(listed(home, actor, trace_id=bytes.fromhex(call.ids["trace_id"]))) == 3
            assert service.get_trace(uow, actor, trace_id=call.ids["trace_id"]).summary.spans == 1
    background.catch_up(home)
    with home.read() as uow:
        (usage,) = service.usage(uow, actor)
        assert usage.calls == 8
        assert len(service.list_traces(uow, actor, filters=TraceFilters(q="bremen")).items) == 8


def test_a_waiting_log_survives_the_process(home: Home, actor: Actor, key: dict[str, str]) -> None:
    app = OtlpApp(home)
    call = Call(app, key)
    call.send_logs(*(call.record(number, **message) for number, message in enumerate(MESSAGES)))
    app.close()
    again = OtlpApp(home)
    call.app = again
    call.send_span()
    again.close()
    assert b"Bremen" in (call.stored(home, actor).output or b"")


def test_the_spans_own_messages_win(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    call = Call(app, key, attributes={"gen_ai.input.messages": '[{"role":"user","content":"own"}]'})
    call.send_span()
    call.send_logs(*(call.record(number, **message) for number, message in enumerate(MESSAGES)))
    span = call.stored(home, actor)
    assert json.loads(span.input or b"") == [{"role": "user", "parts": [{"type": "text", "content": "own"}]}]
    assert b"Bremen" in (span.output or b"")
    assert span.attributes["penstock.from_logs"] == ["output"]


@pytest.mark.parametrize("as_text", [True, False])
def test_the_event_with_the_whole_call(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], as_text: bool
) -> None:
    asked = [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": "hi"}], "finish_reason": "stop"}]
    system = [{"type": "text", "content": "Be kind."}]

    def given(value: Any) -> Any:
        return json.dumps(value) if as_text else value

    call = Call(app, key)
    details = {
        "event": "gen_ai.client.inference.operation.details",
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": given(asked),
            "gen_ai.output.messages": given(said),
            "gen_ai.system_instructions": given(system),
        },
    }
    call.send_span()
    call.send_logs(call.record(1, **details), call.record(0, **MESSAGES[1]))
    span = call.stored(home, actor)
    assert json.loads(span.input or b"") == [{"role": "system", "parts": system}, *asked]
    assert json.loads(span.output or b"") == said


def test_evaluations_are_events_and_can_be_searched(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    call = Call(app, key)
    verdict = {
        "event": "gen_ai.evaluation.result",
        "attributes": {
            "gen_ai.evaluation.name": "Relevance",
            "gen_ai.evaluation.score.value": 0.9,
            "gen_ai.evaluation.score.label": "relevant",
            "gen_ai.evaluation.explanation": "It answers.",
        },
    }
    unlabelled = {
        "event": "gen_ai.evaluation.result",
        "attributes": {"gen_ai.evaluation.name": "Length", "gen_ai.evaluation.score.value": 3},
    }
    call.send_span()
    for _ in range(2):
        call.send_logs(call.record(5, **verdict), call.record(6, **unlabelled))
    span = call.stored(home, actor)
    assert [event.attributes["gen_ai.evaluation.name"] for event in span.events] == ["Relevance", "Length"]
    assert span.metadata["evaluation.Relevance"] == "relevant"
    assert [(one.name, one.score, one.label) for one in span.evaluations] == [
        ("Relevance", 0.9, "relevant"),
        ("Length", 3.0, None),
    ]
    with home.read() as uow:
        for wanted in ({"evaluation.Relevance": "relevant"}, {"evaluation.Length": "3"}):
            (found,) = service.list_traces(uow, actor, filters=TraceFilters(metadata=wanted)).items
            assert found.trace_id == call.ids["trace_id"]
        nothing = TraceFilters(metadata={"evaluation.Relevance": "other"})
        assert not service.list_traces(uow, actor, filters=nothing).items
        for query, there in (("score.Relevance>0.8", 1), ("score.Length>3", 0), ("score.Length>2", 1)):
            assert len(service.list_traces(uow, actor, filters=TraceFilters(query=query)).items) == there, (
                query
            )


def test_an_exception_event_says_what_went_wrong(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    call = Call(app, key, status=2)
    call.send_span()
    assert call.stored(home, actor).error is None
    attributes = {"exception.type": "TimeoutError", "exception.message": "60 s"}
    call.send_logs(call.record(1, event="gen_ai.client.operation.exception", attributes=attributes))
    span = call.stored(home, actor)
    assert span.error == "TimeoutError: 60 s"
    assert [event.name for event in span.events] == ["gen_ai.client.operation.exception"]


def test_the_old_name_of_events_is_known(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    call = Call(app, key)
    call.send_span()
    attributes = {"event.name": "gen_ai.user.message", "gen_ai.system": "openai"}
    call.send_logs(call.record(1, attributes=attributes, body={"content": "hello"}))
    assert json.loads(call.stored(home, actor).input or b"") == [
        {"role": "user", "parts": [{"type": "text", "content": "hello"}]}
    ]


def test_other_logs_are_kept_with_and_without_a_trace(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    call = Call(app, key)
    call.send_span()
    before = call.stored(home, actor)
    call.send_logs(
        call.record(1, body="Asking the CARRIER", severity=5),
        {"at_ns": call.at + 2, "body": {"order": 17, "note": "nul \x00"}, "severity": 17},
        {"at_ns": call.at + 3, "body": "tick", "attributes": {"n": 1, "flag": True, "list": [1, "a"]}},
    )
    assert call.stored(home, actor) == before
    all_of_them = listed(home, actor)
    assert [record.content.body for record in all_of_them] == [
        "tick",
        {"order": 17, "note": "nul \x00"},
        "Asking the CARRIER",
    ]
    assert all_of_them[0].content.attributes == {"n": 1, "flag": True, "list": [1, "a"]}
    assert [record.content.body for record in listed(home, actor, q="carrier")] == ["Asking the CARRIER"]
    assert len(listed(home, actor, min_severity=13)) == 1
    assert len(listed(home, actor, service="shop")) == 3
    assert len(listed(home, actor, trace_id=bytes.fromhex(call.ids["trace_id"]))) == 1


def test_records_alike_are_told_apart_and_repeated_requests_are_not(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    alike = {"at_ns": clock.now_ns(), "body": "again"}
    for _ in range(3):
        assert send(app, key, alike, alike).status == 200
    assert len(listed(home, actor)) == 2


def test_projects_do_not_see_each_others_logs(app: OtlpApp, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
        theirs = {"x-api-key": auth.create_key(uow, actor.within("other"), name="bound")[1]}
        mine = {"x-api-key": auth.create_key(uow, actor, name="own")[1]}
    call = Call(app, mine)
    call.send_span()
    call.key = theirs
    call.send_logs(*(call.record(number, **message) for number, message in enumerate(MESSAGES)))
    assert call.stored(home, actor).input is None
    assert not listed(home, actor)
    call.send_span()
    assert b"parcel" in (call.stored(home, actor.within("other")).input or b"")


@pytest.mark.parametrize("encoding", ["plain", "gzip", "zstd", "json"])
def test_every_encoding(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], encoding: str) -> None:
    message = logs_request({"body": encoding, "event": "note"})
    raw, more = message.SerializeToString(), dict(PROTOBUF)
    if encoding == "json":
        raw, more = logs_as_json(message), dict(JSON)
    elif encoding == "gzip":
        raw = gzip.compress(raw)
    elif encoding == "zstd":
        raw = zstandard.compress(raw)
    if encoding in ("gzip", "zstd"):
        more["content-encoding"] = encoding
    answer = post(app, raw, more | key, path="/v1/logs")
    assert (answer.status, answer.body) == (200, b"{}" if encoding == "json" else b"")
    (found,) = listed(home, actor)
    assert (found.content.body, found.event, found.severity, found.service) == (encoding, "note", 9, "shop")


def test_records_with_broken_ids_are_rejected_alone(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    message = logs_request({"body": "good"}, {"body": "bad", "trace_id": "aa"}, {"span_id": new_span_id()})
    answer = post(app, logs_as_json(message), JSON | key, path="/v1/logs")
    told = json.loads(answer.body)["partialSuccess"]
    assert (answer.status, told["rejectedLogRecords"]) == (200, "2")
    assert "trace id" in told["errorMessage"]
    assert [record.content.body for record in listed(home, actor)] == ["good"]


def test_old_logs_and_too_many_go(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, day = clock.now_ns(), 86_400 * 10**9
    records = [{"at_ns": now - n * day, "body": f"day {n}"} for n in (1, 2, 40)]
    assert send(app, key, *records).status == 200
    background.tick(home)
    assert [record.content.body for record in listed(home, actor)] == ["day 1", "day 2"]
    monkeypatch.setenv("PENSTOCK_TRACES__LOG_LIMIT", "1")
    with Home.open(home.path) as limited:
        with limited.begin() as uow:
            uow.conn.exec_driver_sql("UPDATE traces_marks SET value = 0 WHERE name = 'signals'")
        background.tick(limited)
    assert [record.content.body for record in listed(home, actor)] == ["day 1"]


def test_logs_go_with_their_trace(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    call = Call(app, key)
    call.send_span()
    call.send_logs(call.record(0, **MESSAGES[1]), {"body": "other"})
    service.delete_trace(home, actor, trace_id=call.ids["trace_id"])
    assert [record.content.body for record in listed(home, actor)] == ["other"]


def test_http(client: TestClient, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        secret = auth.create_key(uow, actor, name="sender")[1]
    trace_id = new_trace_id()
    message = logs_request(*({"body": f"line {n}", "trace_id": trace_id} for n in range(5)))
    sent = client.post(
        "/v1/logs", content=message.SerializeToString(), headers=PROTOBUF | {"x-api-key": secret}
    )
    assert sent.status_code == 200
    seen: list[str] = []
    cursor = None
    while True:
        page = client.get("/api/v1/logs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["body"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(seen) == [f"line {n}" for n in range(5)]
    (one,) = client.get("/api/v1/logs", params={"trace_id": trace_id, "q": "LINE 3"}).json()["items"]
    assert (one["body"], one["trace_id"], one["severity"]) == ("line 3", trace_id, 9)
    assert client.get("/api/v1/logs", params={"trace_id": "x"}).status_code == 400
    assert client.get("/api/v1/logs", params={"cursor": "W10"}).status_code == 400


def judgement(response: str, **fields: Any) -> dict[str, Any]:
    attributes = {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.75,
        "gen_ai.response.id": response,
    }
    return {"event": "gen_ai.evaluation.result", "attributes": attributes, "at_ns": clock.now_ns(), **fields}


@pytest.mark.parametrize("order", ["event first", "span first"])
def test_an_evaluation_that_names_only_the_response_finds_its_span(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], order: str
) -> None:
    made = Call(app, key, attributes={"gen_ai.response.id": "chatcmpl-7"})
    other = Call(app, key, attributes={"gen_ai.response.id": "chatcmpl-8"})
    other.send_span()
    if order == "span first":
        made.send_span()
    assert send(app, key, judgement("chatcmpl-7")).status == 200
    assert send(app, key, judgement("chatcmpl-7", at_ns=5_000_000_000 + made.at)).status == 200
    if order == "event first":
        assert log_events(home, actor)[0].span_id is None
        made.send_span()
    stored = made.stored(home, actor)
    assert [(one.name, one.score) for one in stored.evaluations] == [("relevance", 0.75)]
    assert stored.metadata["evaluation.relevance"] == "0.75"
    assert not other.stored(home, actor).evaluations
    assert [(one.trace_id, one.span_id) for one in log_events(home, actor)] == [tuple(made.ids.values())] * 2
    with home.read() as uow:
        assert {one.value for one in service.scores_of(uow, actor, trace_id=made.ids["trace_id"])} == {0.75}
        found = service.list_traces(uow, actor, filters=TraceFilters(query="score.relevance>0.7"))
    assert [one.trace_id for one in found.items] == [made.ids["trace_id"]]


def log_events(home: Home, actor: Actor) -> list[LogRecord]:
    with home.read() as uow:
        return list(log_service.list_logs(uow, actor).items)


def test_an_evaluation_sent_again_or_after_its_span_was_replaced_changes_nothing(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    event = judgement("msg_1")
    made = Call(app, key, attributes={"gen_ai.response.id": "msg_1"})
    assert send(app, key, event).status == 200
    made.send_span()
    once = made.stored(home, actor)
    later = Call(app, key, attributes={"gen_ai.response.id": "msg_1"})
    later.send_span()
    assert send(app, key, event).status == 200
    made.send_span()
    assert made.stored(home, actor) == once
    assert len(once.evaluations) == 1
    assert not later.stored(home, actor).evaluations


def test_an_evaluation_does_not_leave_its_project(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="second")
        theirs = auth.create_key(uow, actor.within("second"), name="sender", role=Role.GATEWAY)[1]
    assert send(app, {"x-api-key": theirs}, judgement("chatcmpl-7")).status == 200
    made = Call(app, key, attributes={"gen_ai.response.id": "chatcmpl-7"})
    made.send_span()
    assert send(app, {"x-api-key": theirs}, judgement("chatcmpl-7", at_ns=made.at + 9)).status == 200
    assert not made.stored(home, actor).evaluations
    assert [one.span_id for one in log_events(home, actor.within("second"))] == [None, None]
