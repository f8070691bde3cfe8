"""A span as one line of an export."""

from typing import Any, get_origin, get_type_hints

import msgspec

from penstock.traces import documents
from penstock.traces.model import SpanRecord

NESTED = frozenset(
    name for name, hint in get_type_hints(SpanRecord).items() if get_origin(hint) in (tuple, dict, list)
)
"""Fields that are lists and objects; in tables they are JSON texts."""


def as_object(span: SpanRecord) -> dict[str, Any]:
    """Return all fields of `span`, input and output as the JSON they hold."""
    fields: dict[str, Any] = msgspec.structs.asdict(span)
    fields["input"], fields["output"] = documents.to_plain(span.input), documents.to_plain(span.output)
    fields["events"] = [msgspec.structs.asdict(event) for event in span.events]
    fields["evaluations"] = [msgspec.structs.asdict(verdict) for verdict in span.evaluations]
    return fields


def as_line(span: SpanRecord) -> bytes:
    """Return `span` as a line of JSON."""
    return documents.encode(as_object(span)) + b"\n"


def as_columns(span: SpanRecord) -> bytes:
    """Return `span` as a line of JSON whose nested values are JSON texts: a row of a table."""
    fields: dict[str, Any] = msgspec.structs.asdict(span)
    for name, value in fields.items():
        if isinstance(value, bytes):
            fields[name] = value.decode("utf-8", "replace")
        elif name in NESTED:
            fields[name] = documents.encode(msgspec.to_builtins(value)).decode()
    return documents.encode(fields) + b"\n"
