"""Penstock's own exports: one span per JSON line, or per row of Parquet."""

from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.traces import documents
from penstock.traces.lines import NESTED
from penstock.traces.model import SpanRecord

_DOCUMENTS = ("input", "output")
_FIELDS = frozenset(SpanRecord.__struct_fields__)


def read(row: dict[str, Any]) -> SpanRecord:
    """Return the span of a row of `lines.as_line` or `lines.as_columns`; raises Invalid."""
    fields = {key: value for key, value in row.items() if key in _FIELDS}
    columns = isinstance(fields.get("tags"), str)
    for name in _DOCUMENTS:
        value = fields.pop(name, None)
        if value is not None:
            fields[name] = value.encode() if columns else documents.encode(value)
    if columns:
        fields |= {name: documents.parsed(fields[name]) for name in NESTED if fields.get(name)}
    try:
        return msgspec.convert(fields, SpanRecord, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Invalid(f"not a span of this program: {error}") from error
