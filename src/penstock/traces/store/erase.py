"""Removing traces: by age, one by one, and everything of one person."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces.store import bill, logs, read, rollup
from penstock.traces.store.prepare import facets_of
from penstock.traces.store.write import forget, remove_facets

_EXPIRED = (
    "FROM traces_traces t WHERE t.at_ms < :before AND NOT EXISTS (SELECT 1 FROM traces_spans s WHERE s.trace = t.id "
    "AND s.id > (SELECT value FROM traces_marks WHERE name = 'rolled'))"
)


def expired(conn: Connection, *, before_ms: int, limit: int) -> list[int]:
    """Return row numbers of traces from before `before_ms` that the roll-ups hold completely, of all scopes."""
    query = text(f"SELECT t.id {_EXPIRED} LIMIT :limit")
    return [row[0] for row in conn.execute(query, {"before": before_ms, "limit": limit})]


def expire(conn: Connection, *, before_ms: int, limit: int) -> int:
    """Delete up to `limit` old traces, keeping what the roll-ups know of them; returns how many."""
    rows = expired(conn, before_ms=before_ms, limit=limit)
    for row in rows:
        _remove(conn, row, keep_sums=True)
    return len(rows)


def remove(conn: Connection, scope: Scope, trace_id: bytes) -> bool:
    """Delete a trace and take it out of the sums; returns whether there was one."""
    row = read.trace_row(conn, scope, trace_id)
    if row is None:
        return False
    _remove(conn, row, keep_sums=False)
    return True


def of_user(conn: Connection, scope: Scope, user: str) -> Iterator[tuple[int, str]]:
    """Yield (row number, trace id) of every trace that holds a span of `user`, oldest first."""
    query = text(
        "SELECT t.id, t.trace_id FROM traces_facet_names n JOIN traces_facets f ON f.facet = n.id "
        "JOIN traces_traces t ON t.id = f.trace "
        "WHERE n.scope_id = :scope AND n.key = 'user' AND n.value = :user ORDER BY f.at_ms, f.trace"
    )
    rows = conn.execute(query, {"scope": read.scope_id(conn, scope), "user": user}).all()
    yield from ((row.id, bytes(row.trace_id).hex()) for row in rows)


def erase_user(conn: Connection, scope: Scope, user: str) -> int:
    """Delete every trace of `user` and the user's name from the side tables; returns how many traces went.

    The project's own sums (per model, route, key) keep what was spent; the sums of the user go.
    """
    removed = 0
    for row, _ in list(of_user(conn, scope, user)):
        _remove(conn, row, keep_sums=True)
        removed += 1
    values = {"scope": read.scope_id(conn, scope), "user": user}
    sums = "DELETE FROM traces_sums WHERE scope_id = :scope AND dimension = :dimension AND value = :user"
    conn.execute(text(sums), values | {"dimension": rollup.DIMENSIONS["user"]})
    name = "scope_id = :scope AND key = 'user' AND value = :user"
    conn.execute(
        text(f"DELETE FROM traces_facets WHERE facet IN (SELECT id FROM traces_facet_names WHERE {name})"),
        values,
    )
    conn.execute(text(f"DELETE FROM traces_facet_names WHERE {name}"), values)
    return removed


def _remove(conn: Connection, row: int, *, keep_sums: bool) -> None:
    head = conn.execute(
        text("SELECT scope_id, trace_id FROM traces_traces WHERE id = :id"), {"id": row}
    ).one()
    logs.forget_trace(conn, head.scope_id, bytes(head.trace_id))
    pairs = {
        pair for record in read.records(conn, row, bytes(head.trace_id).hex()) for pair in facets_of(record)
    }
    remove_facets(conn, row, pairs)
    query = text("SELECT id, span_id FROM traces_spans WHERE trace = :trace")
    spans = conn.execute(query, {"trace": row}).all()
    numbers = [span.id for span in spans]
    if not keep_sums:
        for number in numbers:
            rollup.retract(conn, number)
    forget(conn, numbers)
    scores = (
        "DELETE FROM traces_scores WHERE (scope_id, trace_id) IN "
        "(SELECT scope_id, trace_id FROM traces_traces WHERE id = :id)"
    )
    conn.execute(text(scores), {"id": row})
    conn.execute(text("DELETE FROM traces_traces WHERE id = :id"), {"id": row})
    if not keep_sums:
        bill.release(conn, [f"{bytes(head.trace_id).hex()}/{bytes(span.span_id).hex()}" for span in spans])
