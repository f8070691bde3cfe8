"""Reading traces: one trace, one span with its body; lists are in `search`."""

from collections.abc import Container, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text

from penstock.core.db import is_sqlite
from penstock.core.scope import Scope
from penstock.traces import body
from penstock.traces.model import (
    KINDS,
    STATUSES,
    SpanRecord,
    SpanRow,
    TraceSummary,
)
from penstock.traces.store.prepare import READ_COLUMNS
from penstock.traces.store.sql import quoted

SUMMARY = (
    "t.id, t.trace_id, t.at_ms, t.name, t.start_ns, t.end_ns, t.duration_ns, t.spans, t.calls, t.errors, "
    't.input_tokens, t.output_tokens, t.cached_tokens, t.cost_nano, t.model, t."user", t.session, t.route, '
    "t.key_id, t.environment, r.input_preview, r.output_preview"
)
"""What a list shows of a trace `t` and its root `r`, joined by `ROOT`."""
ROOT = "LEFT JOIN traces_spans r ON r.trace = t.id AND r.span_id = t.root"


def scope_id(conn: Connection, scope: Scope) -> int:
    """Return the number of `scope`; -1, which no row has, when nothing was ever stored there."""
    query = text("SELECT id FROM traces_scopes WHERE tenant = :tenant AND project = :project")
    found = conn.execute(query, {"tenant": scope.tenant, "project": scope.project}).scalar()
    return -1 if found is None else int(found)


def made_scope_id(conn: Connection, scope: Scope) -> int:
    """Return the number of `scope`, which is given one if it has none."""
    row = {"tenant": scope.tenant, "project": scope.project}
    statement = (
        "INSERT INTO traces_scopes (tenant, project) VALUES (:tenant, :project) "
        "ON CONFLICT (tenant, project) DO NOTHING"
    )
    if (found := scope_id(conn, scope)) < 0:
        conn.execute(text(statement), row)
        found = scope_id(conn, scope)
    return found


def summary(row: Any) -> TraceSummary:
    """Return the summary in a row of `SUMMARY`."""
    return TraceSummary(
        trace_id=bytes(row.trace_id).hex(),
        name=row.name,
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        duration_ns=row.duration_ns,
        status="error" if row.errors else "ok",
        spans=row.spans,
        calls=row.calls,
        errors=row.errors,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        cost_usd=row.cost_nano / 1e9,
        model=row.model,
        user=row.user,
        session=row.session,
        route=row.route,
        key_id=row.key_id,
        environment=row.environment,
        input_preview=row.input_preview,
        output_preview=row.output_preview,
    )


_NOT_FIELDS = frozenset({"cost_nano", "service", "agent"})


def _span_fields(row: Any) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in READ_COLUMNS if name not in _NOT_FIELDS}
    fields["span_id"] = bytes(row.span_id).hex()
    fields["parent_id"] = None if row.parent_id is None else bytes(row.parent_id).hex()
    fields["kind"], fields["status"] = KINDS[row.kind], STATUSES[row.status]
    fields["tokens_estimated"] = bool(row.tokens_estimated)
    fields["cost_usd"] = None if row.cost_nano is None else row.cost_nano / 1e9
    return fields


def span_row(row: Any) -> SpanRow:
    """Return a row of READ_COLUMNS as a noun."""
    return SpanRow(**_span_fields(row))


def get_trace(
    conn: Connection, scope: Scope, trace_id: bytes
) -> tuple[int, TraceSummary, list[SpanRow]] | None:
    """Return (row number, summary, spans by start time) of a trace."""
    query = text(
        f"SELECT {SUMMARY} FROM traces_traces t {ROOT} WHERE t.scope_id = :scope AND t.trace_id = :id"
    )
    found = conn.execute(query, {"scope": scope_id(conn, scope), "id": trace_id}).first()
    if found is None:
        return None
    spans = text(
        f"SELECT {quoted(READ_COLUMNS)} FROM traces_spans WHERE trace = :trace ORDER BY start_ns, id"
    )
    rows = [span_row(row) for row in conn.execute(spans, {"trace": found.id})]
    return found.id, summary(found), rows


_RECORD = ", ".join(f"s.{quoted([name])}" for name in READ_COLUMNS) + ", b.data"


def _record(row: Any, trace_id: str) -> SpanRecord:
    fields = _span_fields(row)
    del fields["input_preview"], fields["output_preview"]
    rest = body.unpack(bytes(row.data))
    return SpanRecord(trace_id=trace_id, **{name: getattr(rest, name) for name in body.BODY_FIELDS}, **fields)


def records(
    conn: Connection, trace: int, trace_id: str, span_id: bytes | None = None
) -> Iterator[SpanRecord]:
    """Yield the spans of the trace with row number `trace` in full, by start time; or only the one `span_id`."""
    only = "" if span_id is None else "AND s.span_id = :span"
    query = text(
        f"SELECT {_RECORD} FROM traces_spans s "
        f"JOIN traces_bodies b ON b.id = s.id WHERE s.trace = :trace {only} ORDER BY s.start_ns, s.id"
    )
    values = {"trace": trace} if span_id is None else {"trace": trace, "span": span_id}
    for row in conn.execute(query, values):
        yield _record(row, trace_id)


def packed_of(conn: Connection, traces: Sequence[int]) -> Iterator[Any]:
    """Yield rows for `unpacked`: the spans of traces of every scope, which a caller found in its own."""
    listed = ", ".join(str(int(number)) for number in traces)
    if not listed:
        return
    query = text(
        f"SELECT s.id, s.trace, {_RECORD} FROM traces_spans s JOIN traces_bodies b ON b.id = s.id "
        f"WHERE s.trace IN ({listed})"
    )
    yield from conn.execute(query, execution_options={"stream_results": not is_sqlite(conn)})


def unpacked(row: Any) -> SpanRecord:
    """Return the span of a row of `packed_of` in full, without its trace id."""
    return _record(row, "")


def records_of(
    conn: Connection, traces: Sequence[int], *, done: Container[int] = ()
) -> Iterator[tuple[int, SpanRecord]]:
    """Yield (row number, span in full, without its trace id) of several traces, which a caller found in its scope.

    They are read as they are asked for, from every scope the numbers are of; spans of traces that are in `done` by
    then are left out.
    """
    for row in packed_of(conn, traces):
        if row.trace not in done:
            yield row.trace, unpacked(row)


def trace_row(conn: Connection, scope: Scope, trace_id: bytes) -> int | None:
    """Return the row number of a trace."""
    query = text("SELECT id FROM traces_traces WHERE scope_id = :scope AND trace_id = :id")
    return conn.execute(query, {"scope": scope_id(conn, scope), "id": trace_id}).scalar()


def span_of_response(conn: Connection, scope: Scope, response_id: str) -> tuple[str, str] | None:
    """Return (trace id, span id) of the newest call whose answer the provider named so."""
    query = text(
        "SELECT t.trace_id, s.span_id FROM traces_spans s JOIN traces_traces t ON t.id = s.trace "
        "WHERE s.scope_id = :scope AND s.response_id = :id ORDER BY s.start_ns DESC LIMIT 1"
    )
    row = conn.execute(query, {"scope": scope_id(conn, scope), "id": response_id}).first()
    return None if row is None else (bytes(row.trace_id).hex(), bytes(row.span_id).hex())
