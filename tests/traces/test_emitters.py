"""What real instrumentations send, and what becomes of it: a file per emitter, with the results it must have.

`UPDATE_EMITTERS=1 pytest tests/traces/test_emitters.py` writes the results anew; read the difference.
"""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.traces import mapping, prices
from penstock.traces.lines import as_object
from penstock.traces.model import SpanRecord

FOLDER = Path(__file__).parent / "emitters"
START = 1_790_000_000_000_000_000
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(".expected"))


def spans(name: str) -> list[SpanRecord]:
    """Map the spans of an emitter's file."""
    given = json.loads((FOLDER / f"{name}.json").read_text())
    return [mapping.to_record(otlp(given, place), prices.cost) for place in range(len(given["spans"]))]


def otlp(given: dict[str, Any], place: int) -> mapping.OtlpSpan:
    span = given["spans"][place]
    return mapping.OtlpSpan(
        trace_id="a" * 32,
        span_id=f"{place + 1:016x}",
        parent_id="",
        name=span["name"],
        start_ns=START,
        end_ns=START + 10**9,
        status_code=span.get("status", 0),
        status_message=span.get("message", ""),
        attributes=span["attributes"],
        events=[(event, START + after, held) for event, after, held in span.get("events", ())],
        resource=given["resource"],
        scope={"name": given["scope"]},
    )


NOTHING = SpanRecord(trace_id="", span_id="", name="", start_ns=0, end_ns=0)
EMPTY = json.loads(msgspec.json.encode(as_object(NOTHING)))


def shown(record: SpanRecord) -> dict[str, Any]:
    """Return what a record says beside its defaults; times of events from the start."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(as_object(record)))
    for event in found["events"]:
        event["at_ns"] -= START
    dull = {"trace_id", "span_id", "start_ns", "end_ns"}
    return {key: value for key, value in found.items() if key not in dull and value != EMPTY.get(key)}


@pytest.mark.parametrize("name", NAMES)
def test_what_an_emitter_sends_becomes_what_its_file_says(name: str) -> None:
    found = [shown(record) for record in spans(name)]
    wanted = FOLDER / f"{name}.expected.json"
    if os.environ.get("UPDATE_EMITTERS"):
        wanted.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(wanted.read_text())


def test_the_same_call_has_the_same_counts_and_answer_whoever_reports_it() -> None:
    (sdk,), (inference,) = spans("anthropic_sdk"), spans("openinference_anthropic")
    loop = spans("traceloop")[1]
    for told in (inference, loop):
        for field in (
            "input_tokens",
            "output_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "provider",
            "model",
        ):
            assert getattr(told, field) == getattr(sdk, field), field
        assert told.cost_usd == pytest.approx((10 * 3 + 100 * 0.3 + 50 * 3.75 + 5 * 15) / 1e6)
    assert inference.output is not None and loop.output is not None
    said = json.loads(inference.output)[0]["parts"]
    assert said == json.loads(loop.output)[0]["parts"] == [{"type": "text", "content": "Hello there."}]
    assert inference.response_id == loop.response_id == "msg_01"


def test_aggregates_of_agents_are_not_billed() -> None:
    for name in NAMES:
        for record in spans(name):
            if record.kind not in ("llm", "embedding"):
                assert (record.input_tokens, record.output_tokens, record.cost_usd) == (0, 0, None), (
                    record.name
                )


def test_no_attribute_is_lost() -> None:
    """Every value that was sent is found again: in a field, in a document or among the attributes."""
    for name in NAMES:
        given = json.loads((FOLDER / f"{name}.json").read_text())
        for span, record in zip(given["spans"], spans(name), strict=True):
            whole = json.dumps(shown(record), ensure_ascii=False)
            for key, value in span["attributes"].items():
                if isinstance(value, str) and value[:1] not in '[{"' and key not in DECIDED:
                    assert value.rpartition("base64,")[2] in whole, (name, record.name, key)


DECIDED = {
    "langsmith.span.tags",
    "openinference.span.kind",
    "gen_ai.operation.name",
    "langfuse.observation.type",
    "langsmith.span.kind",
    "traceloop.span.kind",
    "llm.request.type",
    "ai.operationId",
    "langfuse.observation.completion_start_time",
    "langfuse.observation.level",
}
"""What only decides about the kind of a span, is a time, or a list in a text."""
