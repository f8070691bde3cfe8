"""A span as one line of an export."""

from typing import Any

import msgspec

from penstock.traces import documents
from penstock.traces.model import SpanRecord


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
