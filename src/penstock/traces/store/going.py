"""Traces that are being erased: nobody finds them any more, and their rows go by and by.

A trace whose summary is gone is in no list, page or search, because all of them read the summary. That costs a few
pages of the file; its spans, words and entries of the side table cost fifty.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Table, bindparam, text

from penstock.core.db import is_sqlite, metadata
from penstock.core.scope import Scope
from penstock.traces.store import keeping, read, rollup
from penstock.traces.store.sql import insert_rows, placeholder
from penstock.traces.store.tables import RowId

going = Table(
    "traces_going",
    metadata,
    Column("trace", RowId, primary_key=True, autoincrement=False),
    Column("scope_id", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("spans", Integer, nullable=False),
    Index("ix_traces_going_scope", "scope_id", "trace"),
)
"""Row number, time and size of a summary that is gone, while rows of its trace are left."""


def waits(conn: Connection, number: str) -> str:
    """Return the condition that the roll-ups do not hold all spans of a trace, of every scope, by its `number`.

    The mark stands in it as a number: PostgreSQL then knows how few spans lie above it and starts with those, where it
    had read a row of each span of each trace asked about (26 s for 1,258 traces whose pages were cold).
    """
    above = rollup.mark(conn, rollup.GATHERED)
    return f"EXISTS (SELECT 1 FROM traces_spans s WHERE s.trace = {number} AND s.id > {above})"


def _of(query: str, conn: Connection, scope: Scope, rows: Iterable[int], **more: Any) -> list[Any]:
    statement = text(query).bindparams(bindparam("rows", expanding=True))
    return list(
        conn.execute(statement, {"scope": read.scope_id(conn, scope), "rows": list(rows), **more}).all()
    )


def hide(conn: Connection, scope: Scope, rows: Sequence[int]) -> tuple[int, int]:
    """Take traces (row numbers) out of everybody's sight; returns how many, and how many spans they have.

    The roll-ups must hold them. Their log records and scores, which are found by the trace's id, go at once.
    """
    heads = _of(
        "SELECT id, scope_id, trace_id, at_ms, spans FROM traces_traces WHERE +scope_id = :scope AND id IN :rows",
        conn,
        scope,
        rows,
    )
    if not heads:
        return 0, 0
    columns = ("trace", "scope_id", "at_ms", "spans")
    noted = [(head.id, head.scope_id, head.at_ms, head.spans) for head in heads]
    insert_rows(conn, "traces_going", columns, noted, keys=("trace",))
    listed = ", ".join(str(int(head.id)) for head in heads)
    conn.execute(text(f"DELETE FROM traces_traces WHERE id IN ({listed})"))
    forget_named(conn, [(head.scope_id, bytes(head.trace_id)) for head in heads])
    keeping.waited(conn, scope, [head.id for head in heads])
    return len(heads), sum(head.spans for head in heads)


def forget_named(conn: Connection, keys: Sequence[tuple[int, bytes]]) -> None:
    """Delete the log records and scores of traces of every scope, known by (scope number, trace id)."""
    mark = placeholder(conn)
    for table in ("traces_logs", "traces_scores"):
        conn.exec_driver_sql(f"DELETE FROM {table} WHERE scope_id = {mark} AND trace_id = {mark}", list(keys))


def heads(conn: Connection, scope: Scope, rows: Iterable[int], *, most: int) -> dict[int, Any]:
    """Return (id, scope_id, trace_id, at_ms) of those of the traces that have at most `most` spans, by row number.

    `trace_id` is None where the trace is hidden already. On PostgreSQL whoever asks holds the hidden ones.
    """
    wanted = list(rows)
    if not is_sqlite(conn):
        held = "SELECT trace FROM traces_going WHERE scope_id = :scope AND trace IN :rows ORDER BY trace FOR UPDATE"
        _of(held, conn, scope, wanted)
    return {row.id: row for row in _of(_HEADS, conn, scope, wanted, most=most)}


_HEADS = (
    "SELECT id, scope_id, trace_id, at_ms FROM traces_traces "
    "WHERE +scope_id = :scope AND id IN :rows AND spans <= :most UNION ALL "
    "SELECT trace, scope_id, NULL, at_ms FROM traces_going "
    "WHERE +scope_id = :scope AND trace IN :rows AND spans <= :most"
)


def small(conn: Connection, scope: Scope, rows: Iterable[int], *, most: int) -> list[int]:
    """Return the row numbers of those of the traces that have at most `most` spans; takes no lock."""
    return [row.id for row in _of(_HEADS, conn, scope, rows, most=most)]


def unrolled(conn: Connection, scope: Scope, rows: Iterable[int]) -> set[int]:
    """Return those of the traces that the roll-ups do not hold completely.

    The plus keeps SQLite from walking an index of the whole project instead of looking the few rows up.
    """
    waiting = waits(conn, "{number}")
    query = (
        f"SELECT t.id FROM traces_traces t WHERE +t.scope_id = :scope AND t.id IN :rows "
        f"AND {waiting.format(number='t.id')} UNION ALL SELECT g.trace FROM traces_going g "
        f"WHERE +g.scope_id = :scope AND g.trace IN :rows AND {waiting.format(number='g.trace')}"
    )
    return {row[0] for row in _of(query, conn, scope, rows)}


def gone(conn: Connection, numbers: Iterable[int]) -> None:
    """Delete what is left of traces, of every scope, whose spans are deleted: the summary, or its place here."""
    listed = ", ".join(str(int(number)) for number in numbers)
    if listed:
        conn.execute(text(f"DELETE FROM traces_traces WHERE id IN ({listed})"))
        conn.execute(text(f"DELETE FROM traces_going WHERE trace IN ({listed})"))


def left(conn: Connection, scope: Scope) -> int:
    """Return how many hidden traces of a project have rows left."""
    query = text("SELECT count(*) FROM traces_going WHERE scope_id = :scope")
    return int(conn.execute(query, {"scope": read.scope_id(conn, scope)}).scalar_one())


def waiting(conn: Connection, scope: Scope, *, limit: int, newest: bool = False) -> list[int]:
    """Return row numbers of hidden traces of a project whose rows are to be deleted, from either end."""
    order = "DESC" if newest else "ASC"
    query = text(
        f"SELECT trace FROM traces_going WHERE scope_id = :scope ORDER BY trace {order} LIMIT :limit"
    )
    rows = conn.execute(query, {"scope": read.scope_id(conn, scope), "limit": limit})
    return [row.trace for row in rows]
