"""Roll-ups and the full-text index, filled in the background, each span exactly once.

Two marks say up to which row the roll-ups and the index have come; they move in the transaction that fills
them. A span that is replaced or erased after it was rolled up is subtracted in the transaction that removes it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, text

from penstock.core.db import is_sqlite
from penstock.traces import body, histogram, words
from penstock.traces.histogram import Counts
from penstock.traces.store.prepare import ERROR
from penstock.traces.store.sql import WRITERS_LOCK, insert_rows, placeholder, quoted

HOUR, DAY = 3600, 86400
GRAINS = (HOUR, DAY)
DIMENSIONS = {"": 0, "model": 1, "provider": 2, "route": 3, "key": 4, "environment": 5, "user": 6}
"""What sums are kept by; "" is all together. Numbers are stored: they never change."""

KEYS = ("scope_id", "dimension", "grain", "bucket", "kind", "value")
SUMS = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nano",
    "unpriced",
    "latency_us",
)
ROLLED, INDEXED, SIGNALS = "rolled", "indexed", "signals"
_CHUNK = 500
_SOURCE = (
    'id, scope_id, kind, status, start_ns, end_ns, ttft_ns, model, provider, route, key_id, environment, "user", '
    "input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost_nano, duplicate_of"
)


class Sums:
    """What is added up for one group."""

    __slots__ = ("latency", "ttft", "values")

    def __init__(self) -> None:
        self.values = [0] * len(SUMS)
        self.latency: Counts = {}
        self.ttft: Counts = {}

    def add(self, change: Sequence[int], sign: int, elapsed: int, ttft: int | None) -> None:
        """Add (or with -1 take back) one span: its `change` to the sums, and the buckets of its times."""
        self.values = [old + sign * new for old, new in zip(self.values, change, strict=True)]
        if elapsed >= 0:
            histogram.merge(self.latency, {elapsed: 1}, sign)
            if ttft is not None:
                histogram.merge(self.ttft, {ttft: 1}, sign)

    def merge(self, other: "Sums") -> None:
        """Add another group's sums."""
        self.values = [old + new for old, new in zip(self.values, other.values, strict=True)]
        histogram.merge(self.latency, other.latency)
        histogram.merge(self.ttft, other.ttft)


Groups = dict[tuple[Any, ...], Sums]
_NO_TIMES = -1
"""Users are many: their sums go without histograms."""


def _fold(rows: Iterable[Any], sign: int) -> Groups:
    groups: Groups = {}
    for row in rows:
        if row.duplicate_of is not None:
            continue  # another span stands for this call
        took = row.end_ns - row.start_ns
        change = (
            1,
            int(row.status == ERROR),
            *row[13:18],
            row.cost_nano or 0,
            int(row.cost_nano is None),
            took // 1000,
        )
        elapsed, ttft = histogram.bucket(took), None if row.ttft_ns is None else histogram.bucket(row.ttft_ns)
        second = row.start_ns // 1_000_000_000
        hour = second - second % HOUR
        for dimension, value in enumerate(("", *row[7:12])):
            key = (row.scope_id, dimension, HOUR, hour, row.kind, value or "")
            groups.setdefault(key, Sums()).add(change, sign, elapsed, ttft)
        if row.user:
            key = (row.scope_id, DIMENSIONS["user"], HOUR, hour, row.kind, row.user)
            groups.setdefault(key, Sums()).add(change, sign, _NO_TIMES, None)
    for (scope_id, dimension, _, hour, kind, value), sums in list(groups.items()):
        groups.setdefault((scope_id, dimension, DAY, hour - hour % DAY, kind, value), Sums()).merge(sums)
    return groups


def _apply(conn: Connection, groups: Groups) -> None:
    mark = placeholder(conn)
    where = " AND ".join(f'"{name}" = {mark}' for name in KEYS)
    ordered = sorted(groups.items(), key=lambda item: item[0])
    for key, sums in ordered:
        if key[1] == DIMENSIONS["user"]:
            continue
        old = conn.exec_driver_sql(f"SELECT latency, ttft FROM traces_sums WHERE {where}", key).first()
        if old is not None:
            for mine, theirs in ((sums.latency, old[0]), (sums.ttft, old[1])):
                histogram.merge(mine, histogram.decode(bytes(theirs)))
    columns = (*KEYS, *SUMS, "latency", "ttft")
    sets = ", ".join(f"{name} = traces_sums.{name} + excluded.{name}" for name in SUMS)
    statement = (
        f"INSERT INTO traces_sums ({quoted(columns)}) VALUES ({', '.join([mark] * len(columns))}) "
        f"ON CONFLICT ({quoted(KEYS)}) DO UPDATE SET {sets}, latency = excluded.latency, ttft = excluded.ttft"
    )
    rows = [
        (*key, *sums.values, histogram.encode(sums.latency), histogram.encode(sums.ttft))
        for key, sums in ordered
    ]
    if rows:
        conn.exec_driver_sql(statement, rows)


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


def roll(conn: Connection, *, up_to: int, limit: int) -> int:
    """Roll up at most `limit` spans in the caller's transaction; returns how many rows are certainly left (0: none)."""
    done = mark(conn, ROLLED, lock="FOR UPDATE")
    if done >= up_to:
        return 0
    query = text(
        f"SELECT {_SOURCE} FROM traces_spans WHERE id > :done AND id <= :up_to ORDER BY id LIMIT :limit"
    )
    rows = conn.execute(query, {"done": done, "up_to": up_to, "limit": limit}).all()
    _apply(conn, _fold(rows, 1))
    reached = rows[-1].id if len(rows) == limit else up_to
    move(conn, ROLLED, reached)
    return int(up_to - reached)


def retract(conn: Connection, number: int) -> None:
    """Take the span `number` out of the roll-ups if it is in them."""
    _again(conn, [number], -1)


def retract_all(conn: Connection, numbers: Sequence[int]) -> None:
    """Take spans of every scope, as they stand in their table, out of the roll-ups, those that are in them."""
    _again(conn, numbers, -1)


def restore_all(conn: Connection, numbers: Sequence[int]) -> None:
    """Put spans of every scope, as they stand in their table, back into the roll-ups that `retract_all` took out."""
    _again(conn, numbers, 1)


def _again(conn: Connection, numbers: Sequence[int], sign: int) -> None:
    rolled = mark(conn, ROLLED, lock="FOR SHARE")
    query = text(f"SELECT {_SOURCE} FROM traces_spans WHERE id IN :ids").bindparams(
        bindparam("ids", expanding=True)
    )
    inside = [number for number in numbers if number <= rolled]
    for start in range(0, len(inside), _CHUNK):
        found = conn.execute(query, {"ids": inside[start : start + _CHUNK]}).all()
        _apply(conn, _fold(found, sign))


class Said(NamedTuple):
    """What the index is told about a span."""

    span: int
    words: str
    scope_id: int
    attributes: tuple[str, ...]
    """The names of its attributes."""


def _texts(conn: Connection, condition: str, values: dict[str, Any]) -> list[Said]:
    query = text(
        f"SELECT s.id, s.scope_id, s.name, s.error, b.data FROM traces_spans s JOIN traces_bodies b ON b.id = s.id "
        f"WHERE {condition}"
    )
    found = []
    for row in conn.execute(query, values):
        unpacked = body.unpack(bytes(row.data))
        said = words.of_span(row.name, row.error, unpacked.input, unpacked.output)
        indexed = words.indexed(said, row.scope_id, unpacked.attributes)
        found.append(Said(row.id, indexed, row.scope_id, words.attribute_keys(unpacked.attributes)))
    return found


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
    named = sorted({(said.scope_id, "attributes", name) for said in kept for name in said.attributes})
    columns = ("scope_id", "key", "value")
    insert_rows(conn, "traces_facet_names", columns, named, keys=columns)
    if kept:
        _insert_texts(conn, kept)
    move(conn, INDEXED, reached)
    return True


def unindex(conn: Connection, numbers: Sequence[int]) -> None:
    """Take spans out of the full-text index; their bodies must still be there."""
    done = mark(conn, INDEXED, lock="FOR SHARE")
    for number in numbers:
        if number > done:
            continue
        if not is_sqlite(conn):
            conn.execute(text("DELETE FROM traces_text WHERE id = :id"), {"id": number})
            continue
        # An index without a copy of its text is told what to forget by handing it the same text again.
        for said in _texts(conn, "s.id = :id", {"id": number}):
            statement = "INSERT INTO traces_text (traces_text, rowid, words) VALUES ('delete', ?, ?)"
            conn.exec_driver_sql(statement, (said.span, said.words))


def reindex(conn: Connection, number: int) -> None:
    """Put a span whose text has changed back into the full-text index, unless its turn is still to come.

    The caller loaded the span under its scope or works on every scope, and has called `unindex` before the change.
    """
    if number > mark(conn, INDEXED, lock="FOR SHARE"):
        return
    _insert_texts(conn, _texts(conn, "s.id = :id", {"id": number}))


def _insert_texts(conn: Connection, texts: Sequence[Said]) -> None:
    statement = (
        "INSERT INTO traces_text (rowid, words) VALUES (?, ?)"
        if is_sqlite(conn)
        else "INSERT INTO traces_text (id, words) VALUES (%s, to_tsvector('simple', %s)) ON CONFLICT DO NOTHING"
    )
    conn.exec_driver_sql(statement, [(said.span, said.words) for said in texts])
