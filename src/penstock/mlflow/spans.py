"""Spans of traces as MLflow's clients read them: OTLP in protobuf's JSON form (ids in base64)."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.mlflow.call import Answer
from penstock.mlflow.model import shown_trace
from penstock.mlflow.otlp import SENT
from penstock.traces.model import SpanRecord

_TYPES = {
    "llm": "LLM",
    "embedding": "EMBEDDING",
    "tool": "TOOL",
    "retriever": "RETRIEVER",
    "chain": "CHAIN",
    "agent": "AGENT",
    "guard": "GUARDRAIL",
}
_CODES = {"ok": "STATUS_CODE_OK", "error": "STATUS_CODE_ERROR", "unset": "STATUS_CODE_UNSET"}
_OURS = frozenset({"resource", "scope"})


def any_value(value: Any) -> Answer:
    """Return a value as OTLP's AnyValue."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int):
        small = -(1 << 63) <= value < 1 << 63
        return {"int_value": str(value)} if small else {"double_value": float(value)}
    if isinstance(value, float):
        return {"double_value": value if value == value and abs(value) != float("inf") else str(value)}
    if isinstance(value, Mapping):
        return {"kvlist_value": {"values": _attributes(value)}}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return {"array_value": {"values": [any_value(item) for item in value]}}
    return {"string_value": value if isinstance(value, str) else str(value)}


def _attributes(found: Mapping[Any, Any]) -> list[Answer]:
    return [{"key": str(key), "value": any_value(value)} for key, value in found.items()]


def _document(raw: bytes | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def _sent(value: Any) -> Any:
    """Return what the client sent, where it was kept (see `otlp`); None where it was not."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return value


def _facts(span: SpanRecord) -> dict[str, Any]:
    """Return the span's attributes under MLflow's names (mlflow/tracing/constant.py, SpanAttributeKey)."""
    facts: dict[str, Any] = {key: value for key, value in span.attributes.items() if key not in _OURS}
    facts["mlflow.traceRequestId"] = shown_trace(span.trace_id)
    facts.setdefault("mlflow.spanType", _TYPES.get(span.kind, "UNKNOWN"))
    for name, document in (("mlflow.spanInputs", span.input), ("mlflow.spanOutputs", span.output)):
        sent = _sent(facts.pop(SENT[name], None))
        if sent is not None or document is not None:
            facts[name] = _document(document) if sent is None else sent
    if span.model:
        facts["mlflow.llm.model"] = span.model
    if span.provider:
        facts["mlflow.llm.provider"] = span.provider
    if span.input_tokens or span.output_tokens:
        facts["mlflow.chat.tokenUsage"] = {
            "input_tokens": span.input_tokens,
            "output_tokens": span.output_tokens,
            "total_tokens": span.input_tokens + span.output_tokens,
        }
    if span.cost_usd is not None:
        facts["mlflow.llm.cost"] = {"total_cost": span.cost_usd}
    return facts


def _id(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def render(span: SpanRecord) -> Answer:
    """Return a span as OTLP."""
    found: Answer = {
        "trace_id": _id(span.trace_id),
        "span_id": _id(span.span_id),
        "name": span.name,
        "start_time_unix_nano": str(span.start_ns),
        "end_time_unix_nano": str(span.end_ns),
        "attributes": _attributes(_facts(span)),
        "status": {"code": _CODES[span.status], "message": span.error or ""},
        "events": [
            {
                "name": event.name,
                "time_unix_nano": str(event.at_ns),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
    }
    return found | {"parent_span_id": _id(span.parent_id)} if span.parent_id else found
