"""Phoenix's exports: the spans data frame (JSON lines or Parquet), and spans as its REST API lists them.

Columns of `get_spans_dataframe()`: name, span_kind, parent_id, start_time, end_time, status_code, status_message,
events, context.trace_id, context.span_id, attributes.<OpenInference attribute>
(https://arize.com/docs/phoenix/tracing/how-to-tracing/importing-and-exporting-traces/extract-data-from-spans).
"""

from collections.abc import Iterator
from typing import Any

from penstock.core.errors import Invalid
from penstock.traces import documents
from penstock.traces.importing.values import moment, pick, span_id, trace_id
from penstock.traces.mapping import OtlpSpan

_CODES = {"OK": 1, "ERROR": 2}
_PREFIX = "attributes."
_DOCUMENTS = frozenset({"input.value", "output.value", "metadata", "llm.invocation_parameters"})
_MAX_DEPTH = 24


def read(row: dict[str, Any]) -> Iterator[OtlpSpan]:
    """Yield the one span of a row."""
    context = documents.as_object(row.get("context"))
    trace = trace_id(pick(row, "context.trace_id", "trace_id") or context.get("trace_id"))
    span = span_id(pick(row, "context.span_id", "span_id") or context.get("span_id"), trace)
    start = moment(row.get("start_time"))
    if start is None:
        raise Invalid("a span without a start time")
    end = moment(row.get("end_time"))
    parent = row.get("parent_id")
    yield OtlpSpan(
        trace_id=trace,
        span_id=span,
        parent_id=span_id(parent, trace) if parent else "",
        name=str(row.get("name") or ""),
        start_ns=start,
        end_ns=start if end is None else end,
        status_code=_CODES.get(str(row.get("status_code", "")).upper(), 0),
        status_message=str(row.get("status_message") or ""),
        attributes=_attributes(row),
        events=list(_events(row.get("events"), start)),
        resource={},
        scope={"name": "import/phoenix"},
    )


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    nested = documents.parsed(row.get("attributes"))
    if isinstance(nested, dict):
        _flatten("", nested, found, 0)
    for key, value in row.items():
        if key.startswith(_PREFIX):
            _flatten(key[len(_PREFIX) :], value, found, 0)
    kind = pick(row, "span_kind", "attributes.openinference.span.kind")
    if kind:
        found["openinference.span.kind"] = str(kind).upper()
    return found


def _flatten(key: str, value: Any, found: dict[str, Any], depth: int) -> None:
    """Write `value` under dotted keys, as OpenInference sends it; columns without a value are left out."""
    if value is None or (isinstance(value, list | dict) and not value):
        return
    if depth > _MAX_DEPTH or key in _DOCUMENTS:
        found[key] = value if isinstance(value, str) else documents.encode(_present(value)).decode()
    elif isinstance(value, dict):
        for name, item in value.items():
            _flatten(f"{key}.{name}" if key else str(name), item, found, depth + 1)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for place, item in enumerate(value):
            _flatten(f"{key}.{place}", item, found, depth + 1)
    else:
        found[key] = value


def _present(value: Any) -> Any:
    """Return `value` without the members that are only there because another row of the table has them."""
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items() if item is not None}
    return value


def _events(given: Any, start: int) -> Iterator[tuple[str, int, dict[str, Any]]]:
    events = documents.parsed(given)
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict):
            at = moment(pick(event, "timestamp", "time"))
            attributes = event.get("attributes")
            flat: dict[str, Any] = {}
            _flatten("", attributes if isinstance(attributes, dict) else {}, flat, 0)
            yield str(event.get("name") or ""), start if at is None else at, flat
