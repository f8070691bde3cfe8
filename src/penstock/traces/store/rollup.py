"""Roll-ups and the full-text index, filled in the background, each span exactly once.

Two marks say up to which row the roll-ups and the index have come; they move in the transaction that fills
them. A span that is replaced or erased after it was rolled up is subtracted in the transaction that removes it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, text

from penstock.core.db import is_sqlite
from penstock.traces import body, words
from penstock.traces.store import people
from penstock.traces.store.folding import COLUMNS, DIMENSIONS, OLD, apply, fold, only_hits
from penstock.traces.store.sql import WRITERS_LOCK, insert_rows, quoted

ROLLED, GATHERED, INDEXED, SIGNALS, KEYED = "rolled", "gathered", "indexed", "signals", "keyed"
_CHUNK = 500
ALL = frozenset(DIMENSIONS.values())
_SOURCE = quoted(COLUMNS)


def mark(conn: Connection, name: str, *, lock: str = "") -> int:
    """Return a mark; `lock` is FOR UPDATE or FOR SHARE on PostgreSQL (SQLite's writers are alone anyway)."""
    suffix = "" if is_sqlite(conn) else lock
    query = text(f"SELECT value FROM traces_marks WHERE name = :name {suffix}")
    return int(conn.execute(query, {"name": name}).scalar_one())


def move(conn: Connection, name: str, value: int) -> None:
    """Set a mark, which stands for every scope, in the transaction of what it stands for."""
    query = text("UPDATE traces_marks SET value = :value WHERE name = :name")
    conn.execute(query, {"name": name, "value": value})


def safe_mark(conn: Connection) -> int:
    """Return the highest row number below which no span will ever appear.

    On PostgreSQL numbers are given out before they are committed, so this waits for the writers under way;
    call it in a transaction of its own. On SQLite writers are one after the other.
    """
    if not is_sqlite(conn):
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS_LOCK})
    return int(conn.execute(text("SELECT coalesce(max(id), 0) FROM traces_spans")).scalar_one())


def _spans(conn: Connection, low: int, high: int, limit: int) -> Sequence[Any]:
    query = text(
        f"SELECT {_SOURCE} FROM traces_spans WHERE id > :low AND id <= :high ORDER BY id LIMIT :limit"
    )
    return conn.execute(query, {"low": low, "high": high, "limit": limit}).all()


def roll(conn: Connection, *, up_to: int, limit: int, freshen: bool = True) -> int:
    """Roll up at most `limit` spans of every scope in the caller's transaction; returns how many rows are left.

    With `freshen` it looks at people that lost a trace too.

    First those that were rolled up before there were users, sessions and the younger dimensions.
    """
    done = mark(conn, ROLLED, lock="FOR UPDATE")
    gathered = mark(conn, GATHERED)
    if freshen:
        people.freshen(conn, limit=limit)
    if gathered < done:
        rows = _spans(conn, gathered, done, limit)
        apply(conn, fold(rows, 1, ALL - OLD) | only_hits(fold(rows, 1, OLD), 1))
        people.gather(conn, rows, gathered)
        reached = rows[-1].id if len(rows) == limit else done
        move(conn, GATHERED, reached)
        return int(up_to - reached)
    if done >= up_to:
        return 0
    rows = _spans(conn, done, up_to, limit)
    apply(conn, fold(rows, 1, ALL))
    people.gather(conn, rows, done)
    reached = rows[-1].id if len(rows) == limit else up_to
    move(conn, ROLLED, reached)
    move(conn, GATHERED, reached)
    return int(up_to - reached)


def behind(conn: Connection, up_to: int, *, freshen: bool = True) -> bool:
    """Whether `roll` has something to do: spans of every scope up to `up_to`, or people to look at again."""
    rolled, gathered = mark(conn, ROLLED), mark(conn, GATHERED)
    return rolled < up_to or gathered < rolled or (freshen and people.stale(conn))


def retract(conn: Connection, number: int) -> None:
    """Take a span of every scope, which is about to be deleted, out of the roll-ups and its user's totals."""
    drop_all(conn, [number])


def drop_all(conn: Connection, numbers: Sequence[int]) -> None:
    """Take spans, which are about to be deleted, out of the roll-ups and their users' totals; those of every scope.

    Give the spans of a trace that go together at once: a user has lost the trace when the last of them is gone.
    Sessions are left by `leave`.
    """
    found = _again(conn, numbers, -1)
    if found:
        people.withdraw(conn, found, people.USER, mark(conn, GATHERED))


def retract_all(conn: Connection, numbers: Sequence[int]) -> None:
    """Take what spans of every scope, as they stand in their table, count for out of all sums that hold them."""
    people.recount(conn, _again(conn, numbers, -1), -1)


def restore_all(conn: Connection, numbers: Sequence[int]) -> None:
    """Put what spans of every scope, as they stand in their table, count for back where `retract_all` took it out."""
    people.recount(conn, _again(conn, numbers, 1), 1)


def _again(conn: Connection, numbers: Sequence[int], sign: int) -> list[Any]:
    """Add or take back spans in the roll-ups that hold them; returns those that people's totals hold too."""
    rolled = mark(conn, ROLLED, lock="FOR SHARE")
    rows = _numbered(conn, [number for number in numbers if number <= rolled])
    if not rows:
        return []
    gathered = mark(conn, GATHERED)
    new = [row for row in rows if row.id <= gathered]
    old = [row for row in rows if row.id > gathered]
    if new:
        apply(conn, fold(new, sign, ALL))
    if old:
        groups = fold(old, sign, OLD)
        for sums in groups.values():
            sums.values[-1] = 0
        apply(conn, groups)
    return new


def leave(conn: Connection, numbers: Sequence[int]) -> None:
    """Take spans that are about to be deleted out of their sessions; of every scope, as `retract_all`."""
    mark(conn, ROLLED, lock="FOR SHARE")
    gathered = mark(conn, GATHERED)
    rows = _numbered(conn, [number for number in numbers if number <= gathered])
    people.withdraw(conn, rows, people.SESSION, gathered)


def _numbered(conn: Connection, numbers: Sequence[int]) -> list[Any]:
    query = text(f"SELECT {_SOURCE} FROM traces_spans WHERE id IN :ids").bindparams(
        bindparam("ids", expanding=True)
    )
    found: list[Any] = []
    for start in range(0, len(numbers), _CHUNK):
        found.extend(conn.execute(query, {"ids": list(numbers[start : start + _CHUNK])}))
    return found


class Said(NamedTuple):
    """What the index is told about a span."""

    span: int
    words: str
    scope_id: int
    attributes: Sequence[tuple[str, str]]
    """Key and text of those the index knows."""


def _texts(conn: Connection, condition: str, values: dict[str, Any]) -> list[Said]:
    query = text(
        f"SELECT s.id, s.scope_id, s.name, s.error, b.data FROM traces_spans s JOIN traces_bodies b ON b.id = s.id "
        f"WHERE {condition}"
    )
    rows = conn.execute(query, values)
    return [
        said_by(row.id, row.scope_id, row.name, row.error, body.unpack_searched(row.data)) for row in rows
    ]


def said_by(number: int, scope_id: int, name: str, error: str | None, held: body.Searched) -> Said:
    """Return what the index is told about the span with this row number, of a scope, and what its body has."""
    said = words.of_span(name, error, held.input, held.output)
    known = words.known_attributes(words.searched(held.attributes, held.parameters))
    return Said(number, words.indexed(said, scope_id, known), scope_id, known)


def read_texts(conn: Connection, *, limit: int) -> tuple[int, int, list[Said]]:
    """Return (mark, new mark, texts) of the next spans for the index; takes no lock."""
    done, up_to = mark(conn, INDEXED), mark(conn, ROLLED)
    condition = "s.id > :done AND s.id <= :up_to ORDER BY s.id LIMIT :limit"
    found = _texts(conn, condition, {"done": done, "up_to": up_to, "limit": limit})
    return done, (found[-1].span if len(found) == limit else up_to), found


def index(conn: Connection, done: int, reached: int, texts: Sequence[Said]) -> bool:
    """Put `texts` into the index unless another process moved the mark meanwhile; returns whether it did.

    Spans that vanished after their text was read are left out.
    """
    if mark(conn, INDEXED, lock="FOR UPDATE") != done:
        return False
    there = {
        row[0]
        for row in conn.execute(
            text("SELECT id FROM traces_spans WHERE id > :done AND id <= :reached"),
            {"done": done, "reached": reached},
        )
    }
    kept = [said for said in texts if said.span in there]
    # Names without entries: so that people can be told which attributes there are.
    named = {(said.scope_id, "attributes", key) for said in kept for key, _ in said.attributes}
    names = sorted({(scope_id, kind, words.key_name(key)) for scope_id, kind, key in named})
    columns = ("scope_id", "key", "value")
    insert_rows(conn, "traces_facet_names", columns, names, keys=columns)
    if kept:
        _insert_texts(conn, kept)
    move(conn, INDEXED, reached)
    return True


def unindex(conn: Connection, numbers: Sequence[int], said: Sequence[Said] | None = None) -> None:
    """Take spans out of the full-text index; their bodies must still be there, unless `said` has what it was told."""
    done = mark(conn, INDEXED, lock="FOR SHARE")
    known = [number for number in numbers if number <= done]
    sqlite = is_sqlite(conn)
    for start in range(0, len(known), _UNINDEX):
        some = known[start : start + _UNINDEX]
        if not sqlite:
            conn.exec_driver_sql("DELETE FROM traces_text WHERE id = ANY(%s)", (some,))
            continue
        # An index without a copy of its text is told what to forget by handing it the same text again.
        if said is None:
            found = _texts(conn, f"s.id IN ({', '.join(map(str, some))})", {})
        else:
            asked = set(some)
            found = [one for one in said if one.span in asked]
        statement = "INSERT INTO traces_text (traces_text, rowid, words) VALUES ('delete', ?, ?)"
        if found:
            conn.exec_driver_sql(statement, [(one.span, one.words) for one in found])


_UNINDEX = 200
"""Spans whose text is held at once."""


def reindex(conn: Connection, number: int) -> None:
    """Put a span whose text has changed back into the full-text index, unless its turn is still to come.

    The caller loaded the span under its scope or works on every scope, and has called `unindex` before the change.
    """
    if number > mark(conn, INDEXED, lock="FOR SHARE"):
        return
    found = _texts(conn, "s.id = :id", {"id": number})
    if found:
        _insert_texts(conn, found)


def _insert_texts(conn: Connection, texts: Sequence[Said]) -> None:
    statement = (
        "INSERT INTO traces_text (rowid, words) VALUES (?, ?)"
        if is_sqlite(conn)
        else "INSERT INTO traces_text (id, words) VALUES (%s, strip(to_tsvector('simple', %s))) ON CONFLICT DO NOTHING"
    )
    conn.exec_driver_sql(statement, [(said.span, said.words) for said in texts])
