"""Roll-ups and the full-text index, filled in the background, each span exactly once.

Two marks say up to which row the roll-ups and the index have come; they move in the transaction that fills
them. A span that is replaced or erased after it was rolled up is subtracted in the transaction that removes it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, text

from penstock.core.db import is_sqlite
from penstock.traces import body, histogram, words
from penstock.traces.histogram import Counts
from penstock.traces.store.prepare import ERROR
from penstock.traces.store.sql import WRITERS_LOCK, placeholder, quoted

HOUR, DAY = 3600, 86400
GRAINS = (HOUR, DAY)
USAGE_KEYS = ("scope_id", "grain", "bucket", "kind", "model", "provider", "route", "key_id", "environment")
USER_KEYS = ("scope_id", "grain", "bucket", "kind", "user")
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
ROLLED, INDEXED = "rolled", "indexed"
_SOURCE = (
    'id, scope_id, kind, status, start_ns, end_ns, ttft_ns, model, provider, route, key_id, environment, "user", '
    "input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost_nano"
)


class Sums:
    """What is added up for one group."""

    __slots__ = ("latency", "ttft", "values")

    def __init__(self) -> None:
        self.values = [0] * len(SUMS)
        self.latency: Counts = {}
        self.ttft: Counts = {}

    def add(self, row: Any, sign: int) -> None:
        """Add (or with -1 subtract) one row of `_SOURCE`."""
        values, elapsed = self.values, row.end_ns - row.start_ns
        values[0] += sign
        values[1] += sign * (row.status == ERROR)
        for place, number in enumerate(row[13:18], start=2):
            values[place] += sign * number
        values[7] += sign * (row.cost_nano or 0)
        values[8] += sign * (row.cost_nano is None)
        values[9] += sign * (elapsed // 1000)
        histogram.merge(self.latency, {histogram.bucket(elapsed): 1}, sign)
        if row.ttft_ns is not None:
            histogram.merge(self.ttft, {histogram.bucket(row.ttft_ns): 1}, sign)


Groups = dict[tuple[Any, ...], Sums]


def _fold(rows: Iterable[Any], sign: int) -> tuple[Groups, Groups]:
    usage: Groups = {}
    users: Groups = {}
    for row in rows:
        second = row.start_ns // 1_000_000_000
        for grain in GRAINS:
            bucket = second - second % grain
            dims = (
                row.model or "",
                row.provider or "",
                row.route or "",
                row.key_id or "",
                row.environment or "",
            )
            usage.setdefault((row.scope_id, grain, bucket, row.kind, *dims), Sums()).add(row, sign)
            if row.user:
                users.setdefault((row.scope_id, grain, bucket, row.kind, row.user), Sums()).add(row, sign)
    return usage, users


def _apply(conn: Connection, usage: Groups, users: Groups) -> None:
    mark = placeholder(conn)
    where = " AND ".join(f'"{name}" = {mark}' for name in USAGE_KEYS)
    for key, sums in sorted(usage.items(), key=lambda item: item[0]):
        old = conn.exec_driver_sql(f"SELECT latency, ttft FROM traces_usage WHERE {where}", key).first()
        if old is not None:
            for mine, theirs in ((sums.latency, old[0]), (sums.ttft, old[1])):
                histogram.merge(mine, histogram.decode(bytes(theirs)))
    _add(
        conn,
        "traces_usage",
        USAGE_KEYS,
        (*SUMS, "latency", "ttft"),
        [
            (*key, *sums.values, histogram.encode(sums.latency), histogram.encode(sums.ttft))
            for key, sums in sorted(usage.items(), key=lambda item: item[0])
        ],
    )
    user_rows = [(*key, *sums.values) for key, sums in sorted(users.items(), key=lambda item: item[0])]
    _add(conn, "traces_users", USER_KEYS, SUMS, user_rows)


def _add(
    conn: Connection, table: str, keys: Sequence[str], columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    marks = ", ".join([placeholder(conn)] * (len(keys) + len(columns)))
    sets = ", ".join(
        f"{name} = excluded.{name}" if name not in SUMS else f"{name} = {table}.{name} + excluded.{name}"
        for name in columns
    )
    statement = (
        f"INSERT INTO {table} ({quoted((*keys, *columns))}) VALUES ({marks}) "
        f"ON CONFLICT ({quoted(keys)}) DO UPDATE SET {sets}"
    )
    if rows:
        conn.exec_driver_sql(statement, rows)


def mark(conn: Connection, name: str, *, lock: str = "") -> int:
    """Return a mark; `lock` is FOR UPDATE or FOR SHARE on PostgreSQL (SQLite's writers are alone anyway)."""
    suffix = "" if is_sqlite(conn) else lock
    query = text(f"SELECT value FROM traces_marks WHERE name = :name {suffix}")
    return int(conn.execute(query, {"name": name}).scalar_one())


def _move(conn: Connection, name: str, value: int) -> None:
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
    _apply(conn, *_fold(rows, 1))
    reached = rows[-1].id if len(rows) == limit else up_to
    _move(conn, ROLLED, reached)
    return int(up_to - reached)


def retract(conn: Connection, number: int) -> None:
    """Take the span `number` out of the roll-ups if it is in them."""
    if number > mark(conn, ROLLED, lock="FOR SHARE"):
        return
    query = text(f"SELECT {_SOURCE} FROM traces_spans WHERE id = :id")
    _apply(conn, *_fold(conn.execute(query, {"id": number}).all(), -1))


def scope_word(scope_id: int) -> str:
    """Return the word that every text of a scope holds, so that a search stays inside it."""
    return f"zqscope{scope_id}qz"


def _texts(conn: Connection, condition: str, values: dict[str, Any]) -> list[tuple[int, str]]:
    query = text(
        f"SELECT s.id, s.scope_id, s.name, s.error, b.data FROM traces_spans s JOIN traces_bodies b ON b.id = s.id "
        f"WHERE {condition}"
    )
    found = []
    for row in conn.execute(query, values):
        unpacked = body.unpack(bytes(row.data))
        said = words.of_span(row.name, row.error, unpacked.input, unpacked.output)
        found.append((row.id, f"{scope_word(row.scope_id)}\n{said}"))
    return found


def read_texts(conn: Connection, *, limit: int) -> tuple[int, int, list[tuple[int, str]]]:
    """Return (mark, new mark, texts) of the next spans for the index; takes no lock."""
    done, up_to = mark(conn, INDEXED), mark(conn, ROLLED)
    condition = "s.id > :done AND s.id <= :up_to ORDER BY s.id LIMIT :limit"
    found = _texts(conn, condition, {"done": done, "up_to": up_to, "limit": limit})
    return done, (found[-1][0] if len(found) == limit else up_to), found


def index(conn: Connection, done: int, reached: int, texts: Sequence[tuple[int, str]]) -> bool:
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
    rows = [pair for pair in texts if pair[0] in there]
    if is_sqlite(conn):
        if rows:
            conn.exec_driver_sql("INSERT INTO traces_text (rowid, words) VALUES (?, ?)", rows)
    elif rows:
        statement = "INSERT INTO traces_text (id, words) VALUES (%s, to_tsvector('simple', %s)) ON CONFLICT DO NOTHING"
        conn.exec_driver_sql(statement, rows)
    _move(conn, INDEXED, reached)
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
        for pair in _texts(conn, "s.id = :id", {"id": number}):
            statement = "INSERT INTO traces_text (traces_text, rowid, words) VALUES ('delete', ?, ?)"
            conn.exec_driver_sql(statement, pair)
