"""Reading traces out in full, in pieces of bounded size."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces.model import SpanRecord
from penstock.traces.store import read


def span_ids(conn: Connection, scope: Scope, trace_id: bytes) -> list[bytes]:
    """Return the ids of a trace's spans by start time; none when there is no such trace."""
    query = text(
        "SELECT s.span_id FROM traces_spans s JOIN traces_traces t ON t.id = s.trace "
        "WHERE t.scope_id = :scope AND t.trace_id = :trace ORDER BY s.start_ns, s.id"
    )
    values = {"scope": read.scope_id(conn, scope), "trace": trace_id}
    return [bytes(row.span_id) for row in conn.execute(query, values)]


def records(
    conn: Connection, scope: Scope, trace_id: bytes, spans: Sequence[bytes] | None = None
) -> list[SpanRecord]:
    """Return a trace's spans in full, or only those with the ids `spans`; what vanished meanwhile is left out."""
    row = read.trace_row(conn, scope, trace_id)
    if row is None:
        return []
    if spans is None:
        return list(read.records(conn, row, trace_id.hex()))
    return [record for span in spans for record in read.records(conn, row, trace_id.hex(), span)]
