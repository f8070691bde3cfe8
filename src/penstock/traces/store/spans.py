"""Reading the spans of one trace in pieces, so that none is too large."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, bindparam, text

from penstock.core.scope import Scope
from penstock.traces.alignment import Step
from penstock.traces.model import KINDS, STATUSES, SpanRecord, SpanRow, TraceSummary
from penstock.traces.store import read
from penstock.traces.store.prepare import ERROR, KIND_CODES, READ_COLUMNS
from penstock.traces.store.sql import quoted


def summary(conn: Connection, scope: Scope, trace_id: str) -> tuple[int, TraceSummary] | None:
    """Return (row number, summary) of a trace; None when there is none, or `trace_id` is no id."""
    try:
        key = bytes.fromhex(trace_id)
    except ValueError:
        return None
    query = text(
        f"SELECT {read.SUMMARY} FROM traces_traces t {read.ROOT} WHERE t.scope_id = :scope AND t.trace_id = :id"
    )
    row = conn.execute(query, {"scope": read.scope_id(conn, scope), "id": key}).first()
    return None if row is None else (row.id, read.summary(row))


def page(
    conn: Connection, scope: Scope, trace: int, *, after: tuple[int, int] | None, limit: int
) -> tuple[list[SpanRow], tuple[int, int] | None]:
    """Return up to `limit` spans of the trace with row number `trace` by start time, and the cursor behind them."""
    later = "" if after is None else "AND (start_ns, id) > (:start, :id)"
    query = text(
        f"SELECT id, {quoted(READ_COLUMNS)} FROM traces_spans WHERE trace = :trace AND +scope_id = :scope {later} "
        "ORDER BY start_ns, id LIMIT :limit"
    )
    values = {"trace": trace, "scope": read.scope_id(conn, scope), "limit": limit + 1}
    if after is not None:
        values |= {"start": after[0], "id": after[1]}
    rows = conn.execute(query, values).all()
    following = (rows[limit - 1].start_ns, rows[limit - 1].id) if len(rows) > limit else None
    return [read.span_row(row) for row in rows[:limit]], following


_NARROW = (
    "span_id, parent_id, name, kind, status, start_ns, end_ns, model, input_tokens, output_tokens, cost_nano"
)


def narrow(conn: Connection, scope: Scope, trace: int, *, limit: int) -> list[dict[str, Any]]:
    """Return the few fields that a drawn tree needs, of up to `limit` spans by start time."""
    query = text(
        f"SELECT {_NARROW} FROM traces_spans WHERE trace = :trace AND +scope_id = :scope "
        "ORDER BY start_ns, id LIMIT :limit"
    )
    values = {"trace": trace, "scope": read.scope_id(conn, scope), "limit": limit}
    return [
        {
            "span_id": bytes(row.span_id).hex(),
            "parent_id": None if row.parent_id is None else bytes(row.parent_id).hex(),
            "name": row.name,
            "kind": KINDS[row.kind],
            "status": STATUSES[row.status],
            "start_ns": row.start_ns,
            "duration_ns": row.end_ns - row.start_ns,
            "model": row.model,
            "tokens": row.input_tokens + row.output_tokens,
            "cost_usd": None if row.cost_nano is None else row.cost_nano / 1e9,
        }
        for row in conn.execute(query, values)
    ]


_GOOD_CALL = "kind = :llm AND status <> :error"


def _ordered(conn: Connection, scope: Scope, trace: int, condition: str, order: str) -> list[str]:
    query = text(
        f"SELECT span_id FROM traces_spans WHERE trace = :trace AND +scope_id = :scope AND {condition} "
        f"ORDER BY {order}"
    )
    values: dict[str, Any] = {"trace": trace, "scope": read.scope_id(conn, scope)}
    if condition == _GOOD_CALL:
        values |= {"llm": KIND_CODES["llm"], "error": ERROR}
    return [bytes(found).hex() for found in conn.execute(query, values).scalars()]


def good_calls(conn: Connection, scope: Scope, trace: int) -> list[str]:
    """Return the ids of the model calls of a trace that did not fail, by start time."""
    return _ordered(conn, scope, trace, _GOOD_CALL, "start_ns, id")


def last_good_call(conn: Connection, scope: Scope, trace: int) -> str | None:
    """Return the id of the one of `good_calls` that ended last."""
    return next(iter(_ordered(conn, scope, trace, _GOOD_CALL, "end_ns DESC, start_ns, id LIMIT 1")), None)


def first_root(conn: Connection, scope: Scope, trace: int) -> str | None:
    """Return the id of the span without a parent that began first."""
    return next(iter(_ordered(conn, scope, trace, "parent_id IS NULL", "start_ns, id LIMIT 1")), None)


def first(conn: Connection, scope: Scope, trace: int) -> str | None:
    """Return the id of the span that began first."""
    return next(iter(_ordered(conn, scope, trace, "1 = 1", "start_ns, id LIMIT 1")), None)


def models(conn: Connection, scope: Scope, trace: int) -> list[str]:
    """Return the models that answered in a trace, by name."""
    query = text(
        "SELECT DISTINCT model FROM traces_spans WHERE trace = :trace AND +scope_id = :scope AND model IS NOT NULL"
    )
    values = {"trace": trace, "scope": read.scope_id(conn, scope)}
    return sorted(conn.execute(query, values).scalars())


def steps(conn: Connection, scope: Scope, trace: int) -> list[Step]:
    """Return what decides where the spans of a trace belong, by start time."""
    query = text(
        "SELECT span_id, parent_id, kind, name FROM traces_spans WHERE trace = :trace AND +scope_id = :scope "
        "ORDER BY start_ns, id"
    )
    return [
        Step(
            bytes(row.span_id).hex(),
            None if row.parent_id is None else bytes(row.parent_id).hex(),
            KINDS[row.kind],
            row.name,
        )
        for row in conn.execute(query, {"trace": trace, "scope": read.scope_id(conn, scope)})
    ]


def rows(conn: Connection, scope: Scope, trace: int, wanted: Sequence[str]) -> dict[str, SpanRow]:
    """Return spans of a trace, at most a page of them, by span id."""
    query = text(
        f"SELECT {quoted(READ_COLUMNS)} FROM traces_spans WHERE trace = :trace AND +scope_id = :scope "
        "AND span_id IN :spans"
    ).bindparams(bindparam("spans", type_=LargeBinary, expanding=True))
    values = {"trace": trace, "scope": read.scope_id(conn, scope)}
    found = conn.execute(query, values | {"spans": [bytes.fromhex(span_id) for span_id in wanted]})
    return {row.span_id: row for row in map(read.span_row, found)}


def bodies(conn: Connection, scope: Scope, trace: int, wanted: Sequence[str]) -> dict[str, SpanRecord]:
    """Return spans of the trace with row number `trace` in full, by span id."""
    query = text("SELECT 1 FROM traces_traces WHERE id = :trace AND scope_id = :scope")
    if conn.execute(query, {"trace": trace, "scope": read.scope_id(conn, scope)}).first() is None:
        return {}
    found = (record for span_id in wanted for record in read.records(conn, trace, "", bytes.fromhex(span_id)))
    return {record.span_id: record for record in found}
