"""Spans as OTLP/JSON, the encoding of opentelemetry-proto's `ExportTraceServiceRequest`.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (ids in hexadecimal, 64-bit numbers as text).
Kinds, inputs and outputs use OpenInference's attribute names, model calls those of the GenAI conventions.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.sdk.capture import Json
from penstock.sdk.quiet import fault
from penstock.sdk.spans import Span
from penstock.version import __version__

KIND_INTERNAL = 1
KIND_CLIENT = 3
STATUS_OK = 1
STATUS_ERROR = 2
LARGEST_INTEGER = 2**63

_OPENINFERENCE_KIND = {"guard": "GUARDRAIL", "other": "UNKNOWN"}
_SCOPE = {"name": "penstock", "version": __version__}

Mask = Callable[[str], str]
Record = dict[str, Any]


class Encoder:
    """Writes batches: with the program's resource attributes, and contents masked where the program wants that."""

    def __init__(self, resource: Mapping[str, Any], *, mask: Mask | None = None) -> None:
        self._resource = {"attributes": [attribute(name, value) for name, value in resource.items()]}
        self._mask = mask

    def encode(self, spans: Iterable[Any]) -> tuple[bytes, int]:
        """Return the JSON body of one export request, and how many spans it holds; broken spans are left out.

        A span is one of ours, or anything whose `otlp(mask)` returns resource, scope and record in this encoding.
        """
        groups: dict[str, tuple[Record, Record, list[Record]]] = {}
        count = 0
        for span in spans:
            try:
                resource, scope, record = self._parts(span)
                encoded = json.dumps([resource, scope]) if resource is not self._resource else ""
                groups.setdefault(encoded, (resource, scope, []))[2].append(record)
                count += 1
            except Exception as error:  # noqa: BLE001 - one odd span must not cost the others
                fault("encode", error)
        resources = [
            {"resource": resource, "scopeSpans": [{"scope": scope, "spans": records}]}
            for resource, scope, records in groups.values()
        ]
        text = json.dumps({"resourceSpans": resources}, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace"), count

    def _parts(self, span: Any) -> tuple[Record, Record, Record]:
        if isinstance(span, Span):
            return self._resource, _SCOPE, self._record(span)
        resource, scope, record = span.otlp(self._through_mask)
        return resource, scope, record

    def _record(self, span: Span) -> Record:
        kind = _OPENINFERENCE_KIND.get(span.kind) or str(span.kind).upper()
        attributes = {"openinference.span.kind": kind, **span.attributes}
        record: Record = {
            "traceId": span.trace_id,
            "spanId": span.span_id,
            "name": span.name,
            "kind": KIND_CLIENT if span.kind in ("llm", "embedding") else KIND_INTERNAL,
            "startTimeUnixNano": str(span.start_ns),
            "endTimeUnixNano": str(span.end_ns),
            "attributes": [attribute(name, self._masked(name, value)) for name, value in attributes.items()],
            "status": {"code": STATUS_ERROR, "message": span.error} if span.error else {"code": STATUS_OK},
        }
        if span.events:
            record["events"] = [event(*one) for one in list(span.events)]
        if span.parent_id:
            record["parentSpanId"] = span.parent_id
        if span.tracestate:
            record["traceState"] = span.tracestate
        return record

    def _masked(self, name: str, value: Any) -> Any:
        if isinstance(value, Json):
            value = value.text()
        elif name not in _CONTENTS:
            return value
        return self._through_mask(str(value)) if name in _CONTENTS else value

    def _through_mask(self, text: str) -> str:
        if self._mask is None:
            return text
        try:
            return str(self._mask(text))
        except Exception as error:  # noqa: BLE001 - a broken mask must let nothing through, and break nothing
            fault("mask", error)
            return "<the mask failed>"


_CONTENTS = frozenset(
    {
        "input.value",
        "output.value",
        "metadata",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
    }
)
"""The attributes that hold what people and models wrote."""


def halves(body: bytes) -> list[bytes]:
    """Return the spans of a body as two bodies, for a server that found it too large; [] for a single span."""
    resources = json.loads(body)["resourceSpans"]
    flat = [
        (resource["resource"], scoped["scope"], span)
        for resource in resources
        for scoped in resource["scopeSpans"]
        for span in scoped["spans"]
    ]
    if len(flat) < 2:
        return []
    middle = len(flat) // 2
    return [
        json.dumps(
            {
                "resourceSpans": [
                    {"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}
                    for resource, scope, span in half
                ]
            },
            ensure_ascii=False,
        ).encode("utf-8", "replace")
        for half in (flat[:middle], flat[middle:])
    ]


def span_count(body: bytes) -> int:
    """Return how many spans a body holds."""
    return sum(
        len(scoped["spans"])
        for resource in json.loads(body)["resourceSpans"]
        for scoped in resource["scopeSpans"]
    )


def rejected(body: bytes) -> tuple[int, str]:
    """Return how many spans an answer says were left out (OTLP's partial success), and why."""
    try:
        partial = json.loads(body).get("partialSuccess") or {} if body else {}
        return int(partial.get("rejectedSpans") or 0), str(partial.get("errorMessage") or "")
    except (ValueError, TypeError, AttributeError):
        return 0, ""


def event(at: int, name: str, details: Mapping[str, Any]) -> Record:
    """Return what happened at a moment, in nanoseconds since the Unix epoch."""
    attributes = [attribute(key, value) for key, value in details.items()]
    return {"timeUnixNano": str(at), "name": name, "attributes": attributes}


def attribute(name: str, value: Any) -> Record:
    """Return a key and its value."""
    return {"key": str(name), "value": _value(value)}


def _value(value: Any) -> Record:
    match value:
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int() if -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case Json():
            return {"stringValue": value.text()}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case bytes():
            return {"stringValue": f"<{len(value)} bytes>"}
        case _:
            return {"stringValue": json.dumps(value, ensure_ascii=False, default=repr)}
