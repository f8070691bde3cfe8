"""Spans as OTLP/JSON, the encoding of opentelemetry-proto's `ExportTraceServiceRequest`.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (ids in hexadecimal, 64-bit numbers as text).
Kinds, inputs and outputs use OpenInference's attribute names, model calls those of the GenAI conventions.
"""

import json
from collections.abc import Iterable
from typing import Any

from penstock.sdk.spans import Span
from penstock.version import __version__

KIND_INTERNAL = 1
KIND_CLIENT = 3
STATUS_OK = 1
STATUS_ERROR = 2

_OPENINFERENCE_KIND = {"guard": "GUARDRAIL", "other": "UNKNOWN"}


def encode(spans: Iterable[Span], *, service: str) -> bytes:
    """Return the JSON body of one export request."""
    scope = {"name": "penstock", "version": __version__}
    resource = {"attributes": [_attribute("service.name", service)]}
    scoped = {"scope": scope, "spans": [_span(span) for span in spans]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}).encode()


def _span(span: Span) -> dict[str, Any]:
    kind = _OPENINFERENCE_KIND.get(span.kind, span.kind.upper())
    attributes = {"openinference.span.kind": kind, **span.attributes}
    record: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": KIND_CLIENT if span.kind in ("llm", "embedding") else KIND_INTERNAL,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": [_attribute(name, value) for name, value in attributes.items()],
        "events": [
            {
                "timeUnixNano": str(at),
                "name": name,
                "attributes": [_attribute(key, value) for key, value in details.items()],
            }
            for at, name, details in span.events
        ],
        "status": {"code": STATUS_ERROR, "message": span.error} if span.error else {"code": STATUS_OK},
    }
    if span.parent_id:
        record["parentSpanId"] = span.parent_id
    return record


def _attribute(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": _value(value)}


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": json.dumps(value, ensure_ascii=False, default=repr)}
