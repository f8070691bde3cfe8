"""Exports: every format holds the spans whole, and what is exported can be imported again."""

import random
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import exporter, otlp, otlp_out, parquet, service
from penstock.traces.mapping import to_record
from penstock.traces.model import Evaluation, SpanEvent, SpanRecord, TraceFilters
from tests.traces.build import agent_trace, call


def rich() -> SpanRecord:
    return call(
        parent_id="ab" * 8,
        input=b'[{"role":"user","parts":[{"type":"text","content":"where is it"}]}]',
        output=b'[{"role":"assistant","parts":[{"type":"text","content":"on its way"}]}]',
        response_id="resp-1",
        finish_reasons=("stop",),
        parameters={"temperature": 0.5},
        tools=[{"type": "function", "name": "track"}],
        evaluations=(Evaluation(name="helpful", score=0.5, label="ok", explanation="fine"),),
        finer_tokens={"audio_input": 7},
        status="error",
        error="RateLimit: slow down",
        requested_model="gpt-4o",
        cached_tokens=40,
        cache_write_tokens=10,
        reasoning_tokens=5,
        ttft_ns=120_000_000,
        user="ada",
        session="s1",
        environment="prod",
        prompt="greeting@3",
        tags=("a", "b"),
        metadata={"order": "7", "service.name": "shop"},
        attributes={
            "x": 1,
            "deep": {"er": [1, 2.5, "z"]},
            "resource": {"service.name": "shop", "host": "h"},
            "scope": {"name": "lib", "version": "2"},
        },
        events=(SpanEvent(name="retry", at_ns=1_700_000_000_000_000_000, attributes={"n": 2}),),
    )


def unpriced(*_: object) -> None:
    return None


def back(span: SpanRecord, encoding: otlp.Encoding) -> SpanRecord:
    line = otlp_out.as_json_line([span]) if encoding == "json" else otlp_out.as_protobuf([span])
    (found,) = list(otlp.decode(line, encoding))
    return to_record(found, unpriced)


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_otlp_comes_back_as_the_same_span(encoding: otlp.Encoding) -> None:
    span = rich()
    found = back(span, encoding)
    leftover = {"penstock.price_version": "test", **span.attributes}
    judged = span.metadata | {"evaluation.helpful": "ok"}  # by which verdicts can be searched for
    wanted = msgspec.structs.replace(span, price_version="given", attributes=leftover, metadata=judged)
    same = {name: getattr(found, name) for name in SpanRecord.__struct_fields__ if name != "attributes"}
    assert same == {name: getattr(wanted, name) for name in same}
    assert {key: found.attributes[key] for key in ("x", "deep", "resource", "scope")} == span.attributes


@pytest.mark.parametrize(
    "kind", ["llm", "embedding", "tool", "retriever", "chain", "agent", "guard", "other"]
)
def test_kinds_come_back(kind: str) -> None:
    span = call(kind=kind, input=b'{"q":1}', output=b'[{"a":2}]')
    found = back(span, "protobuf")
    assert (found.kind, found.input, found.output) == (kind, span.input, span.output)


def test_odd_values_do_not_stop_an_export() -> None:
    deep: object = "x"
    for _ in range(40):
        deep = [deep]
    span = call(
        name="lone \ud800",
        attributes={"big": 1 << 70, "none": None, "deep": deep, "s": "\ud800"},
        output=b"not json",
    )
    assert back(span, "protobuf").attributes["big"] == str(1 << 70)
    assert b"not json" in (back(span, "json").output or b"")


def test_protobuf_requests_one_after_the_other_are_one_request() -> None:
    spans = [call() for _ in range(450)]
    data = b"".join(exporter.pieces(iter(spans), "otlp-protobuf"))
    request = ExportTraceServiceRequest.FromString(data)
    found = [span.span_id.hex() for outer in request.resource_spans for span in outer.scope_spans[0].spans]
    assert found == [span.span_id for span in spans]


def test_exports_go_through_all_pages_and_large_traces(home: Home, actor: Actor) -> None:
    now = clock.now_ns()
    large = [call(trace_id="cd" * 16, start_ns=now + n) for n in range(501)]
    small = [call(start_ns=now - n * 10**6) for n in range(1, 230)]
    service.ingest(home, actor.scope, [*large, *small])
    assert list(service.export_spans(home, actor)) == [*large, *small]
    assert list(service.export_spans(home, actor, limit=2)) == [*large, small[0]]
    assert list(service.export_spans(home, actor, filters=TraceFilters(query="model:nothing*"))) == []
    with pytest.raises(Invalid):
        list(service.export_spans(home, actor, filters=TraceFilters(query="model:(")))


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_own_exports_are_imported_as_they_were(
    home: Home, actor: Actor, tmp_path: Path, format: exporter.ExportFormat
) -> None:
    spans = [rich(), *agent_trace(random.Random(3), clock.now_ns()), call(input=None, output=None)]
    service.ingest(home, actor.scope, spans)
    stored = list(service.export_spans(home, actor))
    file = tmp_path / "out"
    assert exporter.write(service.export_spans(home, actor), format, file) == len(spans)
    other = Actor(id=actor.id, name=actor.name, role=actor.role, scope=Scope(actor.scope.tenant, "copy"))
    for _ in range(2):
        done = service.import_traces(home, other, source=file, format=format)
        assert (done.spans, done.traces, done.quarantined) == (len(spans), 3, 0)
    assert list(service.export_spans(home, other)) == stored
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["out"]


def test_parquet_has_columns_for_other_tools(tmp_path: Path) -> None:
    file = tmp_path / "it's.parquet"
    assert exporter.write([rich(), call()], "parquet", file) == 2
    first, second = parquet.rows(file)
    assert (first["input_tokens"], first["cost_usd"], first["tags"]) == (100, 0.000027, '["a","b"]')
    assert second["user"] is None and set(first) == set(SpanRecord.__struct_fields__)
    assert {name: parquet.COLUMNS[name] for name in ("ttft_ns", "cost_usd", "tokens_estimated", "tags")} == {
        "ttft_ns": "BIGINT",
        "cost_usd": "DOUBLE",
        "tokens_estimated": "BOOLEAN",
        "tags": "VARCHAR",
    }
    assert exporter.write([], "parquet", tmp_path / "none.parquet") == 0
    assert list(parquet.rows(tmp_path / "none.parquet")) == []


def test_a_broken_parquet_file_is_refused(sqlite_home: Home, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(b"PAR1" + b"rubbish" * 10)
    with pytest.raises(Invalid, match="Parquet"):
        list(parquet.rows(file))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be written"):
        exporter.write([call()], "jsonl", tmp_path / "no" / "folder")
