"""Removing traces: one by one, by age and number, and everything of one person or session."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, bindparam, text

from penstock.core.db import is_sqlite
from penstock.core.scope import Scope
from penstock.traces.store import bill, going, keeping, people, read, rollup
from penstock.traces.store.folding import DIMENSIONS, KEYS
from penstock.traces.store.prepare import clean, facets_of
from penstock.traces.store.sql import WRITERS_LOCK, placeholder
from penstock.traces.store.write import forget

Subject = Literal["user", "session"]
LABEL_CHARS, _SPANS = 200, 200
_FEW = 20
"""Spans of a trace that is deleted together with others: ten of them are what one step takes of a large one."""
_ASKED = 100
"""Facets looked up at once."""
SCRUBBED = (
    "traces_traces",
    "traces_spans",
    "traces_bodies",
    "traces_facets",
    "traces_facet_names",
    "traces_text",
    "traces_logs",
    "traces_people",
    "traces_going",
)
"""Tables that hold what people said or were called."""

_HAS_ENTRIES = "key <> 'attributes'"
"""Names of attributes are kept without entries (see `rollup.index`)."""


@dataclass(slots=True)
class Removed:
    """What was taken away so far; `facets` are names that may now belong to no trace."""

    traces: int = 0
    spans: int = 0
    facets: set[int] = field(default_factory=set)


def older(conn: Connection, scope: Scope, *, before_ms: int, limit: int) -> list[int]:
    """Return row numbers of traces from before `before_ms` that the roll-ups hold completely, oldest first."""
    query = text(
        f"SELECT t.id FROM traces_traces t WHERE t.scope_id = :scope AND t.at_ms < :before "
        f"AND NOT {going.waits(conn, 't.id')} ORDER BY t.at_ms, t.id LIMIT :limit"
    )
    values = {"scope": read.scope_id(conn, scope), "before": before_ms, "limit": limit}
    return [row[0] for row in conn.execute(query, values)]


def beyond(conn: Connection, scope: Scope, *, keep: int) -> int | None:
    """Return the moment (`at_ms`) up to which traces are more than the newest `keep`; None when there are no more."""
    query = text(
        "SELECT at_ms FROM traces_traces WHERE scope_id = :scope ORDER BY at_ms DESC, id DESC LIMIT 1 OFFSET :keep"
    )
    return conn.execute(query, {"scope": read.scope_id(conn, scope), "keep": keep}).scalar()


def of_subject(conn: Connection, scope: Scope, subject: Subject, value: str, *, limit: int) -> list[int]:
    """Return row numbers of traces that hold a span of a user or session, oldest first."""
    query = text(
        "SELECT f.trace FROM traces_facet_names n JOIN traces_facets f ON f.facet = n.id "
        "JOIN traces_traces t ON t.id = f.trace "
        "WHERE n.scope_id = :scope AND n.key = :key AND n.value = :value ORDER BY f.at_ms, f.trace LIMIT :limit"
    )
    values = {"key": subject, "value": clean(value, LABEL_CHARS), "limit": limit}
    rows = conn.execute(query, values | {"scope": read.scope_id(conn, scope)})
    return [row.trace for row in rows]


def ids_of_subject(conn: Connection, scope: Scope, subject: Subject, value: str) -> list[str]:
    """Return the ids of traces that hold a span of a user or session, sorted."""
    query = text(
        "SELECT t.trace_id FROM traces_facet_names n JOIN traces_facets f ON f.facet = n.id "
        "JOIN traces_traces t ON t.id = f.trace WHERE n.scope_id = :scope AND n.key = :key AND n.value = :value"
    )
    values = {"key": subject, "value": clean(value, LABEL_CHARS), "scope": read.scope_id(conn, scope)}
    return sorted({bytes(row.trace_id).hex() for row in conn.execute(query, values)})


def spans_in(conn: Connection, scope: Scope, rows: Sequence[int]) -> int:
    """Return how many spans the traces with these row numbers have."""
    query = text(
        "SELECT coalesce(sum(spans), 0) FROM traces_traces WHERE +scope_id = :scope AND id IN :rows"
    ).bindparams(bindparam("rows", expanding=True))
    values = {"scope": read.scope_id(conn, scope), "rows": list(rows)}
    return int(conn.execute(query, values).scalar_one())


def remove_some(conn: Connection, scope: Scope, row: int, done: Removed, *, keep_sums: bool) -> bool:
    """Delete up to 200 spans of the trace with this row number, then the trace; returns whether all of it is gone."""
    head = going.heads(conn, scope, [row], most=1 << 31).get(row)
    if head is None:
        return True
    trace_id = bytes(head.trace_id or b"")
    spans = conn.execute(
        text("SELECT id, span_id FROM traces_spans WHERE trace = :trace ORDER BY id LIMIT :limit"),
        {"trace": row, "limit": _SPANS + 1},
    ).all()
    first = spans[:_SPANS]
    facets = facet_ids(conn, scope, _pairs(conn, row, trace_id, None if first == spans else first))
    if facets:
        mark = placeholder(conn)
        drop = f"DELETE FROM traces_facets WHERE facet = {mark} AND at_ms = {mark} AND trace = {mark}"
        conn.exec_driver_sql(drop, [(facet, head.at_ms, row) for facet in facets])
    numbers = [span.id for span in first]
    if not keep_sums:
        rollup.drop_all(conn, numbers)
    forget(conn, numbers)
    if not keep_sums:
        bill.release(conn, [f"{trace_id.hex()}/{bytes(span.span_id).hex()}" for span in first])
    done.spans += len(numbers)
    done.facets |= facets
    if first != spans:
        return False
    going.gone(conn, [row])
    if trace_id:
        going.forget_named(conn, [(head.scope_id, trace_id)])
    keeping.waited(conn, scope, [row])
    done.traces += 1
    return True


class Known(NamedTuple):
    """What removing a span has to know of it, with the row it was learnt from."""

    row: tuple[Any, ...]
    trace: int
    facets: tuple[tuple[str, str], ...]
    said: rollup.Said


def known(
    conn: Connection, scope: Scope, rows: Sequence[int], before: Mapping[int, Known] | None = None
) -> dict[int, Known]:
    """Return what is known of the spans of those traces, with these row numbers, that have few; by row number.

    What is the same as `before` is not unpacked again: ask first without a lock, then with it.
    """
    scope_id, earlier = read.scope_id(conn, scope), before or {}
    found: dict[int, Known] = {}
    for row in read.packed_of(conn, going.small(conn, scope, rows, most=_FEW)):
        same = earlier.get(row.id)
        if same is None or same.row != tuple(row):
            span = read.unpacked(row)
            said = rollup.said_by(row.id, scope_id, span.name, span.error, span)
            same = Known(tuple(row), row.trace, facets_of(span), said)
        found[row.id] = same
    return found


def remove_together(
    conn: Connection, scope: Scope, rows: Sequence[int], done: Removed, before: Mapping[int, Known]
) -> set[int]:
    """Delete those of the traces with these row numbers that have few spans, keeping the sums; returns which.

    At once they cost a fraction of what one after the other does. `before` is what `known` said of them.
    """
    heads = going.heads(conn, scope, rows, most=_FEW)
    if not heads:
        return set()
    spans = known(conn, scope, list(heads), before)
    pairs: dict[int, set[tuple[str, str]]] = {row: set() for row in heads}
    for span in spans.values():
        pairs[span.trace].update(span.facets)
    facets = facet_numbers(conn, scope, set().union(*pairs.values()))
    mark = placeholder(conn)
    found = [(facets[pair], heads[row].at_ms, row) for row in heads for pair in pairs[row] if pair in facets]
    if found:
        where = f"facet = {mark} AND at_ms = {mark} AND trace = {mark}"
        conn.exec_driver_sql(f"DELETE FROM traces_facets WHERE {where}", sorted(found))
    forget(conn, sorted(spans), [span.said for span in spans.values()])
    going.gone(conn, heads)
    if named := [(head.scope_id, bytes(head.trace_id)) for head in heads.values() if head.trace_id]:
        going.forget_named(conn, named)
    keeping.waited(conn, scope, list(heads))
    done.traces += len(heads)
    done.spans += len(spans)
    done.facets.update(facets.values())
    return set(heads)


def _pairs(conn: Connection, row: int, trace_id: bytes, spans: Sequence[Any] | None) -> set[tuple[str, str]]:
    """Return the facets of a whole trace, or of some of its spans."""
    name = trace_id.hex()
    if spans is None:
        records = list(read.records(conn, row, name))
    else:
        records = [record for span in spans for record in read.records(conn, row, name, bytes(span.span_id))]
    return {pair for record in records for pair in facets_of(record)}


def facet_numbers(
    conn: Connection, scope: Scope, pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return facet (key, value) → its number, of those that the project knows."""
    mark, number = placeholder(conn), read.scope_id(conn, scope)
    asked = sorted(pairs)
    found: dict[tuple[str, str], int] = {}
    for start in range(0, len(asked), _ASKED):
        some = asked[start : start + _ASKED]
        listed = ", ".join([f"({mark}, {mark})"] * len(some))
        # SQLite keeps to the order of a cross join: it looks each pair up, and walks no index of the project.
        query = (
            f"WITH wanted (key, value) AS (VALUES {listed}) SELECT n.key, n.value, n.id FROM wanted "
            "CROSS JOIN traces_facet_names n "
            f"WHERE n.scope_id = {mark} AND n.key = wanted.key AND n.value = wanted.value"
        )
        rows = conn.exec_driver_sql(query, (*(part for pair in some for part in pair), number))
        found |= {(row.key, row.value): row.id for row in rows}
    return found


def facet_ids(conn: Connection, scope: Scope, pairs: Iterable[tuple[str, str]]) -> set[int]:
    """Return the numbers of those facets (key, value) that the project knows."""
    return set(facet_numbers(conn, scope, pairs).values())


def forget_names(conn: Connection, scope: Scope, facets: Iterable[int]) -> int:
    """Delete those of the facet names that no trace has any more; returns how many. For a transaction of its own."""
    numbers = sorted(set(facets))
    if not numbers:
        return 0
    _alone(conn)
    query = text(
        f"DELETE FROM traces_facet_names WHERE +scope_id = :scope AND id IN :facets AND {_HAS_ENTRIES} "
        "AND NOT EXISTS (SELECT 1 FROM traces_facets f WHERE f.facet = traces_facet_names.id)"
    ).bindparams(bindparam("facets", expanding=True))
    scope_id, gone = read.scope_id(conn, scope), 0
    for start in range(0, len(numbers), 500):
        values = {"scope": scope_id, "facets": numbers[start : start + 500]}
        gone += conn.execute(query, values).rowcount
    _tell(conn, gone)
    return gone


def orphans(conn: Connection, after: int, limit: int) -> tuple[int, list[int]]:
    """Return (last name looked at, names of every scope that no trace has), walking up; (0, …) at the end."""
    query = text(
        "SELECT n.id, n.key = 'attributes' OR EXISTS (SELECT 1 FROM traces_facets f WHERE f.facet = n.id) AS used "
        "FROM traces_facet_names n WHERE n.id > :after ORDER BY n.id LIMIT :limit"
    )
    rows = conn.execute(query, {"after": after, "limit": limit}).all()
    reached = rows[-1].id if len(rows) == limit else 0
    return reached, [row.id for row in rows if not row.used]


def forget_orphans(conn: Connection, facets: Sequence[int]) -> int:
    """Delete facet names, in every scope, that still belong to no trace. For a transaction of its own."""
    _alone(conn)
    query = text(
        f"DELETE FROM traces_facet_names WHERE id IN :facets AND {_HAS_ENTRIES} "
        "AND NOT EXISTS (SELECT 1 FROM traces_facets f WHERE f.facet = traces_facet_names.id)"
    ).bindparams(bindparam("facets", expanding=True))
    gone = conn.execute(query, {"facets": list(facets)}).rowcount
    _tell(conn, gone)
    return gone


def _alone(conn: Connection) -> None:
    # A writer that has looked a name's number up must not use it after the name is gone.
    if not is_sqlite(conn):
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS_LOCK})


def _tell(conn: Connection, gone: int) -> None:
    if gone:
        conn.execute(text("UPDATE traces_marks SET value = value + 1 WHERE name = 'facet_names'"))


def sums_of_subject(conn: Connection, scope: Scope, subject: Subject, value: str) -> list[tuple[int, ...]]:
    """Return (grain, bucket, kind) of a user's or session's own sums.

    No index leads to them but that of all users: look before a transaction that others have to wait for.
    """
    if subject not in DIMENSIONS:
        return []
    query = text(
        "SELECT grain, bucket, kind FROM traces_sums WHERE scope_id = :scope AND dimension = :dimension "
        "AND value = :value"
    )
    values = {"scope": read.scope_id(conn, scope), "dimension": DIMENSIONS[subject]}
    rows = conn.execute(query, values | {"value": clean(value, LABEL_CHARS)})
    return [tuple(row) for row in rows]


def forget_subject(
    conn: Connection, scope: Scope, subject: Subject, value: str, sums: Sequence[tuple[int, ...]]
) -> None:
    """Delete a user's or session's own `sums` and its name in the side tables; for a transaction of its own."""
    _alone(conn)
    values: dict[str, Any] = {"scope": read.scope_id(conn, scope), "key": subject}
    values["value"] = clean(value, LABEL_CHARS)
    if sums:
        mark = placeholder(conn)
        where = " AND ".join(f"{name} = {mark}" for name in KEYS)
        head = (values["scope"], DIMENSIONS[subject])
        conn.exec_driver_sql(
            f"DELETE FROM traces_sums WHERE {where}", [(*head, *one, values["value"]) for one in sums]
        )
    people.erase(conn, scope, subject, values["value"])
    name = "SELECT id FROM traces_facet_names WHERE scope_id = :scope AND key = :key AND value = :value"
    conn.execute(text(f"DELETE FROM traces_facets WHERE facet IN ({name})"), values)
    gone = conn.execute(text(f"DELETE FROM traces_facet_names WHERE id IN ({name})"), values).rowcount
    _tell(conn, gone)


def merge_words(conn: Connection, *, first: bool) -> bool:
    """Take one step towards a full-text index, of every scope, without what was deleted; returns whether it is done.

    SQLite keeps deleted words until segments are merged (https://sqlite.org/fts5.html#the_merge_command): `first`
    asks for all of them, later calls go on.
    """
    if not is_sqlite(conn):
        return True
    before = conn.exec_driver_sql("SELECT total_changes()").scalar_one()
    pages = -_MERGE_PAGES if first else _MERGE_PAGES
    conn.exec_driver_sql("INSERT INTO traces_text (traces_text, rank) VALUES ('merge', ?)", (pages,))
    after = conn.exec_driver_sql("SELECT total_changes()").scalar_one()
    return int(after) - int(before) < 2


_MERGE_PAGES = 256
"""Of 4 KB: a merge step is a short transaction."""
