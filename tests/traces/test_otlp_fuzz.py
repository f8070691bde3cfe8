"""Whatever comes in: a clear status, never an error of ours, and the next request works."""

import base64
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from penstock.core import log
from penstock.core.auth import service as auth
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.ids import new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import (
    background,
    body,
    dialects,
    log_service,
    otlp,
    otlp_logs,
    otlp_metrics,
    receiver,
    service,
)
from penstock.traces.model import TraceFilters
from penstock.traces.otlp_app import SIGNALS, OtlpApp
from tests.conftest import owner_of
from tests.traces.otlp_build import as_json, logs_as_json, logs_request, request
from tests.traces.otlp_client import JSON, PROTOBUF, post

KNOWN = sorted(
    {key for dialect in dialects.DIALECTS for keys in dialect.fields.values() for key in keys}
    | {f"{prefix}.0.{tail}" for dialect in dialects.DIALECTS for prefixes in dialect.lists.values()
       for prefix in prefixes for tail in ("message.role", "message.content", "0", "x.y.z", "")}
    | set(dialects.KIND_ORDER)
)  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [
        "",
        "{",
        "[",
        "[[]]",
        "{}",
        "null",
        "NaN",
        "\x00",
        "1e999",
        '{"a":{"total":1e400}}',
        '[{"role":1}]',
        "Infinity",
        "-1",
    ]
)
SCALARS = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(st.sampled_from(KNOWN) | TEXT, VALUES, max_size=8)
MOMENTS = st.sampled_from([1, 10**18, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
IDS = st.sampled_from(["ab" * 16, "cd" * 16])
SPAN_IDS = st.sampled_from(["01" * 8, "02" * 8, "03" * 8])
EVENT_NAMES = st.sampled_from(
    ["", "exception", "gen_ai.choice", "gen_ai.user.message", "gen_ai.content.prompt", "gen_ai.evaluation.result",
     "gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception", "x"]
)  # fmt: skip
SPANS = st.fixed_dictionaries(
    {"trace_id": IDS, "span_id": SPAN_IDS, "name": TEXT, "start_ns": MOMENTS, "end_ns": MOMENTS,
     "status": st.integers(0, 3), "message": TEXT, "attributes": ATTRIBUTES,
     "events": st.lists(st.tuples(EVENT_NAMES, MOMENTS, ATTRIBUTES), max_size=3)},
    optional={"parent_id": SPAN_IDS},
)  # fmt: skip
LOGS = st.fixed_dictionaries(
    {"event": EVENT_NAMES, "body": VALUES, "attributes": ATTRIBUTES, "at_ns": MOMENTS,
     "severity": st.integers(-(2**31), 2**31 - 1)},
    optional={"trace_id": IDS, "span_id": SPAN_IDS},
)  # fmt: skip
FUZZ = settings(
    max_examples=15, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)
"""Examples write to a database: a failing one is shown as it is, not made smaller by hundreds of others."""


class Server:
    """One home for many examples."""

    def __init__(self, home: Home, actor: Actor, app: OtlpApp, key: dict[str, str]) -> None:
        self.home, self.actor, self.app, self.key = home, actor, app, key

    def healthy(self, answer: Any) -> None:
        """The answer was clear, nothing is held, and what is stored can be read."""
        assert answer.status in (200, 400, 413), (answer.status, answer.body)
        assert self.app.receiver.room.taken == 0
        background.catch_up(self.home)
        with self.home.read() as uow:
            for item in service.list_traces(uow, self.actor).items:
                for span in service.get_trace(uow, self.actor, trace_id=item.trace_id).spans:
                    found = service.get_span_body(
                        uow, self.actor, trace_id=item.trace_id, span_id=span.span_id
                    )
                    for document in (found.input, found.output):
                        assert document is None or json.loads(document) is not Ellipsis
            service.list_traces(uow, self.actor, filters=TraceFilters(q="a b"))
            service.usage(uow, self.actor, group_by="kind")
            log_service.list_logs(uow, self.actor)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder, Home.open(Path(folder) / "home") as home:
        actor = owner_of(home)
        with home.begin() as uow:
            secret = auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]
        app = OtlpApp(home)
        yield Server(home, actor, app, {"x-api-key": secret})
        app.close()


@pytest.fixture(autouse=True)
def nothing_unforeseen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail when the receiver logs an exception: an item that broke the mapping in a way nobody thought of."""
    seen: list[str] = []

    def heard(message: str, *_: Any, **more: Any) -> None:
        import traceback

        seen.append(f"{message} {more} {traceback.format_exc()}")

    monkeypatch.setattr(receiver.logger, "exception", heard)
    yield
    assert not seen, seen[0]


@FUZZ
@given(st.lists(SPANS, min_size=1, max_size=4), st.booleans())
def test_any_span(server: Server, spans: list[dict[str, Any]], in_json: bool) -> None:
    message = request(*spans)
    if in_json:
        answer = post(server.app, as_json(message), JSON | server.key)
    else:
        answer = post(server.app, message.SerializeToString(), PROTOBUF | server.key)
    assert answer.status == 200, answer.body
    server.healthy(answer)


@FUZZ
@given(st.lists(LOGS, min_size=1, max_size=5), st.lists(SPANS, max_size=2), st.booleans())
def test_any_log_record(
    server: Server, records: list[dict[str, Any]], spans: list[dict[str, Any]], in_json: bool
) -> None:
    message = logs_request(*records)
    if in_json:
        answer = post(server.app, logs_as_json(message), JSON | server.key, path="/v1/logs")
    else:
        answer = post(server.app, message.SerializeToString(), PROTOBUF | server.key, path="/v1/logs")
    assert answer.status == 200, answer.body
    server.healthy(post(server.app, request(*spans).SerializeToString(), PROTOBUF | server.key))


NUMBERS = st.floats() | st.sampled_from([0.0, -1.0, 1e308])


@st.composite
def metrics(draw: st.DrawFn) -> ExportMetricsServiceRequest:
    message = ExportMetricsServiceRequest()
    scope = message.resource_metrics.add().scope_metrics.add()
    for _ in range(draw(st.integers(1, 4))):
        metric = scope.metrics.add(
            name=draw(st.sampled_from(["gen_ai.a", "gen_ai.b", "x", ""])), unit=draw(TEXT)
        )
        form = draw(st.sampled_from(["gauge", "sum", "histogram", "exponential_histogram", "summary"]))
        held = getattr(metric, form)
        point = held.data_points.add(
            start_time_unix_nano=draw(MOMENTS), time_unix_nano=draw(MOMENTS), flags=draw(st.integers(0, 3))
        )
        if form in ("gauge", "sum"):
            point.as_double = draw(NUMBERS)
        else:
            point.count, point.sum = draw(st.integers(0, 2**64 - 1)), draw(NUMBERS)
        if form == "histogram":
            point.explicit_bounds.extend(draw(st.lists(NUMBERS, max_size=4)))
            point.bucket_counts.extend(draw(st.lists(st.integers(0, 2**64 - 1), max_size=5)))
            point.min = draw(NUMBERS)
        if form == "exponential_histogram":
            point.scale = draw(st.integers(-(2**31), 2**31 - 1) | st.integers(-10, 20))
            point.positive.offset = draw(st.integers(-(2**31), 2**31 - 1))
            point.positive.bucket_counts.extend(draw(st.lists(st.integers(0, 2**64 - 1), max_size=5)))
            point.count = min(2**64 - 1, sum(point.positive.bucket_counts))
        if form not in ("gauge", "summary"):
            held.aggregation_temporality = draw(st.integers(0, 2))
    return message


@FUZZ
@given(metrics(), st.booleans())
def test_any_metric(server: Server, message: ExportMetricsServiceRequest, in_json: bool) -> None:
    if in_json:
        text = json.dumps(MessageToDict(message)).encode()
        answer = post(server.app, text, JSON | server.key, path="/v1/metrics")
    else:
        answer = post(server.app, message.SerializeToString(), PROTOBUF | server.key, path="/v1/metrics")
    assert answer.status in (200, 400), answer.body
    with server.home.read() as uow:
        for name in log_service.metric_names(uow, server.actor):
            log_service.metric_points(uow, server.actor, name=name.name, by="model")


@settings(FUZZ, max_examples=80)
@given(st.binary(max_size=300), st.sampled_from(sorted(SIGNALS)), st.booleans())
def test_any_bytes(server: Server, data: bytes, path: str, in_json: bool) -> None:
    answer = post(server.app, data, (JSON if in_json else PROTOBUF) | server.key, path=path)
    assert answer.status in (200, 400, 413), answer.body


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["traceId", "spanId", "name", "startTimeUnixNano", "attributes", "key", "value", "stringValue",
             "intValue", "arrayValue", "kvlistValue", "values", "status", "code", "events", "scope", "resource",
             "body", "severityNumber", "histogram", "sum", "dataPoints", "asDouble", "count", "bucketCounts"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(FUZZ, max_examples=80)
@given(JSON_VALUES, st.sampled_from(sorted(SIGNALS)))
def test_any_json_of_the_right_outline(server: Server, held: Any, path: str) -> None:
    names = {
        "/v1/traces": ("resourceSpans", "scopeSpans", "spans"),
        "/v1/logs": ("resourceLogs", "scopeLogs", "logRecords"),
        "/v1/metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    }[path]
    for shaped in (
        {names[0]: held},
        {names[0]: [{names[1]: held}]},
        {names[0]: [{names[1]: [{names[2]: held}]}]},
        {names[0]: [{names[1]: [{names[2]: [held]}]}]},
    ):
        answer = post(server.app, json.dumps(shaped).encode(), JSON | server.key, path=path)
        assert answer.status in (200, 400), (answer.status, answer.body)


@settings(FUZZ, max_examples=100)
@given(st.lists(SPANS, min_size=1, max_size=2), st.data())
def test_a_changed_byte(server: Server, spans: list[dict[str, Any]], data: st.DataObject) -> None:
    whole = bytearray(request(*spans).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    answer = post(server.app, bytes(whole), PROTOBUF | server.key)
    assert answer.status in (200, 400, 413), answer.body
    for read in (otlp.decode, otlp_logs.decode, otlp_metrics.decode):
        try:
            list(read(bytes(whole), "protobuf"))  # type: ignore[operator]
        except PenstockError as error:
            assert error.status in (400, 413)


@settings(FUZZ, max_examples=100)
@given(VALUES)
def test_both_encodings_say_the_same(value: Any) -> None:
    message = request({"trace_id": new_trace_id(), "span_id": "01" * 8, "attributes": {"k": value}})
    (one,) = otlp.decode(message.SerializeToString(), "protobuf")
    (other,) = otlp.decode(as_json(message), "json")
    assert repr(_plain(one)) == repr(_plain(other))
    assert body.pack_any(one)


def _plain(span: Any) -> Any:
    value = span.attributes["k"]
    assert isinstance(value, str) or not isinstance(value, bytes)
    return (span.trace_id, span.name, span.start_ns, value)


def test_base64_is_what_bytes_become() -> None:
    message = request({"attributes": {"k": b"\x00\xff\xfe"}})
    for data, encoding in ((message.SerializeToString(), "protobuf"), (as_json(message), "json")):
        (span,) = otlp.decode(data, encoding)  # type: ignore[arg-type]
        assert not isinstance(span, Exception)
        assert base64.b64decode(span.attributes["k"]) == b"\x00\xff\xfe"
    assert log.get("traces.receiver") is receiver.logger
