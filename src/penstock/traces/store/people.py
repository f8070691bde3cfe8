"""Totals of users and sessions, kept up by the background beside the roll-ups.

A span adds to the totals of its user and of its session exactly once, under the lock of the mark `rolled`, and is taken
out again when it is replaced or deleted. A trace counts for a user or session while one of its spans names it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, text

from penstock.core.db import is_sqlite
from penstock.core.scope import Scope
from penstock.traces.store.prepare import CALL_KINDS, ERROR
from penstock.traces.store.read import scope_id
from penstock.traces.store.sql import placeholder, quoted

USER, SESSION = 0, 1
_NAMES = {USER: "user", SESSION: "session"}
_TOTALS = ("traces", "calls", "errors", "input_tokens", "output_tokens", "cached_tokens", "cost_nano")
_COLUMNS = ("scope_id", "kind", "name", "user", *_TOTALS, "first_ms", "last_ms", "stale")
_CHUNK, _ASKED = 500, 100

Key = tuple[int, int, str]
"""(scope number, USER or SESSION, name)."""


@dataclass(slots=True)
class _Change:
    user: str | None
    totals: list[int]
    first_ms: int = 0
    last_ms: int = 0
    stale: int = 0


def _counts(row: Any) -> tuple[int, ...]:
    """Return what a span adds to _TOTALS beside its trace: tokens and cost only of model calls, as in trace lists."""
    failed = 1 if row.status == ERROR else 0
    if row.kind not in CALL_KINDS or row.duplicate_of is not None:
        return 0, failed, 0, 0, 0, 0
    return 1, failed, row.input_tokens, row.output_tokens, row.cached_tokens, row.cost_nano or 0


def _names(row: Any, kinds: Iterable[int]) -> list[Key]:
    found = ((kind, row.user if kind == USER else row.session) for kind in kinds)
    return [(row.scope_id, kind, name) for kind, name in found if name]


def _folded(rows: Iterable[Any], kinds: Sequence[int], sign: int) -> dict[Key, _Change]:
    changes: dict[Key, _Change] = {}
    for row in rows:
        for key in _names(row, kinds):
            change = changes.get(key)
            if change is None:
                change = changes[key] = _Change(None, [0] * len(_TOTALS))
                change.stale = int(sign < 0 and key[1] == SESSION)
            if key[1] == SESSION and change.user is None:
                change.user = row.user
            _count(change.totals, _counts(row), sign)
    return changes


def _count(totals: list[int], counts: Sequence[int], sign: int) -> None:
    for place, number in enumerate(counts, start=1):
        if number:
            totals[place] += sign * number


def _by_chunks(conn: Connection, query: str, numbers: Iterable[int], values: Mapping[str, Any]) -> list[Any]:
    wanted = sorted(set(numbers))
    statement = text(query).bindparams(bindparam("ids", expanding=True))
    found: list[Any] = []
    for start in range(0, len(wanted), _CHUNK):
        found.extend(conn.execute(statement, {"ids": wanted[start : start + _CHUNK], **values}))
    return found


def gather(conn: Connection, rows: Sequence[Any], done: int) -> None:
    """Add spans (rows of folding.COLUMNS, all above `done`) to their users and sessions, of every scope they name."""
    named = [row for row in rows if row.user or row.session]
    if not named:
        return
    heads = {
        row.id: row
        for row in _by_chunks(
            conn,
            "SELECT id, at_ms, spans FROM traces_traces WHERE id IN :ids",
            {row.trace for row in named},
            {},
        )
    }
    seen = _seen(conn, rows, heads, done)
    changes: dict[Key, _Change] = {}
    for (scope, trace, user, session), alike in _alike(named).items():
        head = heads.get(trace)
        moment = alike.start_ns // 1_000_000 if head is None else head.at_ms
        for kind, name in ((USER, user), (SESSION, session)):
            if not name:
                continue
            key = (scope, kind, name)
            change = changes.get(key)
            if change is None:
                change = changes[key] = _Change(None, [0] * len(_TOTALS), moment, moment)
            if kind == SESSION and change.user is None:
                change.user = user
            _count(change.totals, alike.counts, 1)
            if (key, trace) not in seen:
                seen.add((key, trace))
                change.totals[0] += 1
            change.first_ms = min(change.first_ms, moment)
            change.last_ms = max(change.last_ms, moment)
    _upsert(conn, changes)


@dataclass(slots=True)
class _Alike:
    """What spans of one trace that name the same user and session count for together."""

    start_ns: int
    counts: Sequence[int]


def _alike(rows: Iterable[Any]) -> dict[tuple[int, int, str | None, str | None], _Alike]:
    """Fold the spans of a trace first: mostly all of them name one user and one session."""
    found: dict[tuple[int, int, str | None, str | None], _Alike] = {}
    for row in rows:
        key = (row.scope_id, row.trace, row.user, row.session)
        counts = _counts(row)
        same = found.get(key)
        if same is None:
            found[key] = _Alike(row.start_ns, counts)
        elif any(counts):
            same.counts = [old + new for old, new in zip(same.counts, counts, strict=True)]
    return found


def _seen(conn: Connection, rows: Sequence[Any], heads: Mapping[int, Any], done: int) -> set[tuple[Key, int]]:
    """Return whom the traces of `rows` count for already; most traces have all of their spans among `rows`."""
    here = Counter(row.trace for row in rows)
    older = {trace for trace, head in heads.items() if head.spans != here[trace]}
    query = (
        'SELECT DISTINCT scope_id, trace, "user", session FROM traces_spans WHERE trace IN :ids AND id <= :done '
        'AND ("user" IS NOT NULL OR session IS NOT NULL)'
    )
    return {
        (key, row.trace)
        for row in _by_chunks(conn, query, older, {"done": done})
        for key in _names(row, _NAMES)
    }


def _upsert(conn: Connection, changes: Mapping[Key, _Change]) -> None:
    low, high = ("min", "max") if is_sqlite(conn) else ("least", "greatest")
    sets = [f"{name} = traces_people.{name} + excluded.{name}" for name in _TOTALS]
    sets.append('"user" = coalesce(traces_people."user", excluded."user")')
    sets.extend(
        f"{name} = CASE WHEN traces_people.traces <= 0 THEN excluded.{name} "
        f"ELSE {function}(traces_people.{name}, excluded.{name}) END"
        for name, function in (("first_ms", low), ("last_ms", high))
    )
    rows = [
        (*key, change.user, *change.totals, change.first_ms, change.last_ms, change.stale)
        for key, change in sorted(changes.items(), key=lambda item: item[0])
    ]
    marks = ", ".join([placeholder(conn)] * len(_COLUMNS))
    statement = (
        f"INSERT INTO traces_people ({quoted(_COLUMNS)}) VALUES ({marks}) "
        f"ON CONFLICT (scope_id, kind, name) DO UPDATE SET {', '.join(sets)}"
    )
    conn.exec_driver_sql(statement, rows)


def withdraw(conn: Connection, rows: Sequence[Any], kind: int, gathered: int) -> None:
    """Take spans (rows of folding.COLUMNS, all of them gathered and still stored) from their users or sessions.

    Works in every scope the rows name.
    """
    changes = _folded(rows, (kind,), -1)
    if not changes:
        return
    going: dict[tuple[Key, int], int] = {}
    for row in rows:
        for key in _names(row, (kind,)):
            going[key, row.trace] = going.get((key, row.trace), 0) + 1
    there = {
        ((row.scope_id, kind, row.who), row.trace): row.spans
        for row in _by_chunks(
            conn,
            f'SELECT scope_id, trace, "{_NAMES[kind]}" AS who, count(*) AS spans FROM traces_spans '
            f'WHERE trace IN :ids AND id <= :gathered AND "{_NAMES[kind]}" IS NOT NULL '
            f'GROUP BY scope_id, trace, "{_NAMES[kind]}"',
            {trace for _, trace in going},
            {"gathered": gathered},
        )
    }
    for (key, trace), spans in going.items():
        if there.get((key, trace), 0) <= spans:
            changes[key].totals[0] -= 1
            changes[key].stale = 1
    _add(conn, changes)


def recount(conn: Connection, rows: Sequence[Any], sign: int) -> None:
    """Add or take back what spans (rows of folding.COLUMNS) count for; of every scope, their traces stay counted."""
    changes = _folded(rows, tuple(_NAMES), sign)
    if changes:
        _add(conn, changes)


def _add(conn: Connection, changes: Mapping[Key, _Change]) -> None:
    mark = placeholder(conn)
    sets = ", ".join(f"{name} = {name} + {mark}" for name in _TOTALS)
    statement = (
        f"UPDATE traces_people SET {sets}, stale = CASE WHEN {mark} = 1 THEN 1 ELSE stale END "
        f"WHERE scope_id = {mark} AND kind = {mark} AND name = {mark}"
    )
    rows = [
        (*change.totals, change.stale, *key)
        for key, change in sorted(changes.items(), key=lambda item: item[0])
    ]
    conn.exec_driver_sql(statement, rows)


def stale(conn: Connection) -> bool:
    """Whether anybody of every scope waits for `freshen`."""
    return conn.execute(text("SELECT 1 FROM traces_people WHERE stale = 1 LIMIT 1")).first() is not None


def freshen(conn: Connection, *, limit: int) -> int:
    """Find first, last and user anew for up to `limit` of every scope that lost a trace; remove who has none left.

    Returns how many waited for it, at most `limit`.
    """
    query = text("SELECT scope_id, kind, name, traces FROM traces_people WHERE stale = 1 LIMIT :limit")
    rows = conn.execute(query, {"limit": limit}).all()
    mark = placeholder(conn)
    where = f"scope_id = {mark} AND kind = {mark} AND name = {mark}"
    gone = [(row.scope_id, row.kind, row.name) for row in rows if row.traces <= 0]
    left = [(row.scope_id, row.kind, row.name) for row in rows if row.traces > 0]
    if gone:
        conn.exec_driver_sql(f"DELETE FROM traces_people WHERE {where}", gone)
    for start in range(0, len(left), _ASKED):
        some = left[start : start + _ASKED]
        facts = _facts(conn, some)
        conn.exec_driver_sql(
            f'UPDATE traces_people SET stale = 0, "user" = {mark}, first_ms = coalesce({mark}, first_ms), '
            f"last_ms = coalesce({mark}, last_ms) WHERE {where}",
            [(*facts.get(key, (None, None, None)), *key) for key in some],
        )
    return len(rows)


def _facts(conn: Connection, keys: Sequence[Key]) -> dict[Key, tuple[str | None, int, int]]:
    """Return (who the first trace of a session names, first, last) of those that have traces.

    Asked for together, SQLite would read all entries for the first and the last.
    """
    mark = placeholder(conn)
    listed = ", ".join([f"({mark}, {mark}, {mark}, {mark})"] * len(keys))
    query = (
        f"WITH wanted (scope_id, kind, name, key) AS (VALUES {listed}) SELECT w.scope_id, w.kind, w.name, "
        "(SELECT min(f.at_ms) FROM traces_facets f WHERE f.facet = n.id) AS first_ms, "
        "(SELECT max(f.at_ms) FROM traces_facets f WHERE f.facet = n.id) AS last_ms, "
        f"CASE WHEN w.kind = {SESSION} THEN ("
        'SELECT t."user" FROM traces_facets f JOIN traces_traces t ON t.id = f.trace WHERE f.facet = n.id '
        'AND t."user" IS NOT NULL ORDER BY f.at_ms, f.trace LIMIT 1) END AS who '
        "FROM wanted w CROSS JOIN traces_facet_names n "
        "WHERE n.scope_id = w.scope_id AND n.key = w.key AND n.value = w.name"
    )
    values = tuple(part for key in keys for part in (*key, _NAMES[key[1]]))
    return {
        (row.scope_id, row.kind, row.name): (row.who, row.first_ms, row.last_ms)
        for row in conn.exec_driver_sql(query, values)
    }


def erase(conn: Connection, scope: Scope, subject: Literal["user", "session"], name: str) -> None:
    """Forget the totals of a user or session, and a user's name wherever a session of others still carries it."""
    values = {"scope": scope_id(conn, scope), "kind": USER if subject == "user" else SESSION, "name": name}
    conn.execute(
        text("DELETE FROM traces_people WHERE scope_id = :scope AND kind = :kind AND name = :name"), values
    )
    if subject == "user":
        mine = 'scope_id = :scope AND kind = 1 AND "user" = :name'
        theirs = {name: values[name] for name in ("scope", "name")}
        conn.execute(text(f"DELETE FROM traces_people WHERE {mine} AND traces <= 0"), theirs)
        conn.execute(text(f'UPDATE traces_people SET "user" = NULL, stale = 1 WHERE {mine}'), theirs)
