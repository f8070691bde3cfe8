"""Traces that came before the side table had entries for the keys of metadata are given them, the newest first.

Up to the mark `keyed` traces may lack them: queries look into those. The mark moves down until no trace is below it.
"""

from typing import NamedTuple

from sqlalchemy import Connection, text

from penstock.core.db import is_sqlite
from penstock.traces.store import read, rollup
from penstock.traces.store.prepare import METADATA, facets_of
from penstock.traces.store.sql import WRITERS_LOCK, insert_rows

_TRACES = 100


class Step(NamedTuple):
    """Traces below the mark, and which keys each of their spans has."""

    mark: int
    below: int
    """The mark once they are done."""
    traces: tuple[int, ...]
    keys: dict[int, tuple[int, frozenset[str]]]
    """Row number of a span → its trace and keys; only of spans with any."""


def complete(conn: Connection) -> bool:
    """Whether every trace, of every scope, has its entries."""
    first = conn.execute(text("SELECT min(id) FROM traces_traces")).scalar()
    return first is None or int(first) > rollup.mark(conn, rollup.KEYED)


def next_step(conn: Connection, *, spans: int) -> Step | None:
    """Return the newest traces below the mark, of every scope: of about `spans` spans; None when there are none."""
    mark = rollup.mark(conn, rollup.KEYED)
    query = text("SELECT id, spans FROM traces_traces WHERE id <= :mark ORDER BY id DESC LIMIT :limit")
    rows = conn.execute(query, {"mark": mark, "limit": _TRACES}).all() if mark > 0 else []
    taken: list[int] = []
    held = 0
    for row in rows:
        if taken and held + row.spans > spans:
            break
        taken.append(row.id)
        held += row.spans
    if not taken:
        return None
    keys: dict[int, tuple[int, frozenset[str]]] = {}
    for row in read.packed_of(conn, taken):
        if named := frozenset(value for key, value in facets_of(read.unpacked(row)) if key == METADATA):
            keys[row.id] = (row.trace, named)
    return Step(mark, min(taken) - 1, tuple(taken), keys)


def write(conn: Connection, step: Step) -> bool:
    """Make the entries of a step for the spans that are still there, and move the mark; False to ask for it again.

    A trace that is gone meanwhile gets none. On PostgreSQL it waits for nobody.
    """
    listed = ", ".join(str(int(number)) for number in step.traces)
    query = f"SELECT id, scope_id, at_ms FROM traces_traces WHERE id IN ({listed})"
    if not is_sqlite(conn):
        conn.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": WRITERS_LOCK})
    heads = {row.id: row for row in conn.execute(text(query))}
    if not is_sqlite(conn) and len(conn.execute(text(f"{query} FOR SHARE SKIP LOCKED")).all()) < len(heads):
        return False
    if rollup.mark(conn, rollup.KEYED, lock="FOR UPDATE") != step.mark:
        return False
    spans = ", ".join(str(int(number)) for number in step.keys) or "NULL"
    there = conn.execute(text(f"SELECT id FROM traces_spans WHERE id IN ({spans})")).scalars()
    wanted = {(trace, key) for number in there for trace, keys in [step.keys[number]] for key in keys}
    names = _names(conn, {(heads[trace].scope_id, key) for trace, key in wanted if trace in heads})
    rows = sorted(
        (names[heads[trace].scope_id, key], heads[trace].at_ms, trace)
        for trace, key in wanted
        if trace in heads
    )
    columns = ("facet", "at_ms", "trace")
    insert_rows(conn, "traces_facets", columns, rows, keys=columns)
    rollup.move(conn, rollup.KEYED, step.below)
    return True


def _names(conn: Connection, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return (number of a scope, key) → number of its entry, made where there is none."""
    columns = ("scope_id", "key", "value")
    insert_rows(
        conn,
        "traces_facet_names",
        columns,
        sorted((scope, METADATA, key) for scope, key in wanted),
        keys=columns,
    )
    query = text(
        "SELECT id FROM traces_facet_names WHERE scope_id = :scope AND key = :key AND value = :value"
    )
    return {
        (scope, key): int(conn.execute(query, {"scope": scope, "key": METADATA, "value": key}).scalar_one())
        for scope, key in wanted
    }
