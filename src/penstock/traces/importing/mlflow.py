"""MLflow's exports: `Trace.to_json()` (version 3 and before), one per row, or `search_traces()` as a table.

Format: {"info": TraceInfo, "data": {"spans": […]}} (https://mlflow.org/docs/latest/genai/concepts/trace); a span of
version 3 has base64 ids and times as in OTLP JSON, one before it hex ids inside `context`.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.traces import documents
from penstock.traces.importing.values import moment, pick, span_id, trace_id
from penstock.traces.mapping import OtlpSpan

_CODES = {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2, "OK": 1, "ERROR": 2}
_SHARED = ("mlflow.trace.user", "mlflow.trace.session")


def read(row: dict[str, Any]) -> Iterator[OtlpSpan]:
    """Yield the spans of one trace."""
    whole = documents.as_object(row.get("trace")) or row
    info = documents.as_object(whole.get("info")) or row
    data = documents.as_object(whole.get("data"))
    spans = documents.parsed(data.get("spans") if data else pick(row, "spans"))
    if not isinstance(spans, list) or not spans:
        raise Invalid("a trace without spans")
    trace = trace_id(pick(info, "trace_id", "request_id"))
    shared = _info(info)
    for item in spans:
        span = documents.as_object(item)
        if not span:
            raise Invalid("a span that is no object")
        yield _span(span, trace, shared)


def _info(info: dict[str, Any]) -> dict[str, Any]:
    """Return what TraceInfo says of the whole trace, for its root."""
    metadata = documents.as_object(pick(info, "trace_metadata", "request_metadata"))
    tags = documents.as_object(info.get("tags"))
    found = {key: metadata[key] for key in _SHARED if metadata.get(key)}
    own = {key: value for key, value in (metadata | tags).items() if not str(key).startswith("mlflow.")}
    if own:
        found["metadata"] = documents.encode({str(key): documents.as_text(own[key]) for key in own}).decode()
    return found


def _identifier(given: Any, size: int) -> str:
    """Return the hex of an id in hex (with or without 0x) or base64."""
    text = str(given or "").strip().removeprefix("0x")
    if len(text) == size * 2 or not text:
        return text
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
    return raw.hex() if len(raw) == size else text


def _span(span: dict[str, Any], trace: str, shared: dict[str, Any]) -> OtlpSpan:
    context = documents.as_object(span.get("context"))
    own = span_id(_identifier(pick(span, "span_id") or context.get("span_id"), 8), trace)
    parent = _identifier(pick(span, "parent_span_id", "parent_id"), 8)
    start = moment(pick(span, "start_time_unix_nano", "start_time_ns", "start_time"))
    if start is None:
        raise Invalid("a span without a start time")
    end = moment(pick(span, "end_time_unix_nano", "end_time_ns", "end_time"))
    code, message = _status(span)
    attributes = {key: _attribute(value) for key, value in _object(span.get("attributes")).items()}
    return OtlpSpan(
        trace_id=trace,
        span_id=own,
        parent_id=span_id(parent, trace) if parent else "",
        name=str(span.get("name") or ""),
        start_ns=start,
        end_ns=start if end is None else end,
        status_code=code,
        status_message=message,
        attributes=attributes if parent else attributes | shared,
        events=list(_events(span.get("events"), start)),
        resource={},
        scope={"name": "import/mlflow"},
    )


def _object(given: Any) -> dict[str, Any]:
    return documents.as_object(given)


def _attribute(value: Any) -> Any:
    """Return an attribute decoded: MLflow keeps each as JSON text. Objects stay text, as other SDKs send them."""
    if isinstance(value, str) and value[:1] == '"':
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            return value
    return documents.encode(value).decode() if isinstance(value, dict | list) else value


def _status(span: dict[str, Any]) -> tuple[int, str]:
    status = span.get("status")
    if isinstance(status, dict):
        code, message = pick(status, "code", "status_code"), pick(status, "message", "description")
    else:
        code, message = pick(span, "status_code") or status, span.get("status_message")
    return _CODES.get(str(code or "").rpartition(".")[2].upper(), 0), str(message or "")


def _events(given: Any, start: int) -> Iterator[tuple[str, int, dict[str, Any]]]:
    events = documents.parsed(given)
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict):
            at = moment(pick(event, "time_unix_nano", "timestamp"))
            name, attributes = str(event.get("name") or ""), _object(event.get("attributes"))
            yield name, start if at is None else at, attributes
