"""The few forms of SQL that the bulk paths need, for both engines."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from penstock.core.db import is_sqlite, numbered

WRITERS_LOCK = 0x7E57_0001
"""Advisory lock on PostgreSQL: writers of spans share it, finding a safe mark takes it alone."""

_CHUNK = 64
"""Rows per statement where rows must come back, or where the driver sends each row by itself."""


def placeholder(conn: Connection) -> str:
    """Return the driver's mark for a parameter."""
    return "?" if is_sqlite(conn) else "%s"


def quoted(names: Sequence[str]) -> str:
    """Return column names for a statement (`user` is a reserved word)."""
    return ", ".join(f'"{name}"' for name in names)


def price_words(conn: Connection) -> None:
    """Tell PostgreSQL for the rest of the transaction what looking for words in a row (of every scope) costs.

    Does nothing on SQLite. PostgreSQL's planner takes that for a comparison of two numbers, but the words of a span lie
    outside the row, packed, and unpacking them costs what reading a page does (some 15 µs). Told nothing, it walks the
    newest spans and unpacks those of each, for seconds, where the index would have named the few that hold a word.
    Just-in-time compilation would be switched on by the new scale of costs.
    """
    if not is_sqlite(conn):
        conn.exec_driver_sql("SET LOCAL cpu_operator_cost = 0.5")
        conn.exec_driver_sql("SET LOCAL jit = off")


@contextmanager
def planned(conn: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    """Have PostgreSQL plan the statements of the block, of every scope, under `settings`; nothing changes on SQLite."""
    if is_sqlite(conn):
        yield
        return
    before = conn.exec_driver_sql(
        "SELECT " + ", ".join(["current_setting(%s), set_config(%s, %s, true)"] * len(settings)),
        tuple(value for name, wanted in settings.items() for value in (name, name, wanted)),
    ).one()
    yield  # a statement that fails ends the transaction, and the settings with it
    conn.exec_driver_sql(
        "SELECT " + ", ".join(["set_config(%s, %s, true)"] * len(settings)),
        tuple(value for pair in zip(settings, before[::2], strict=True) for value in pair),
    )


IN_ORDER = {"enable_hashjoin": "off", "enable_sort": "off", "max_parallel_workers_per_gather": "0"}
"""For statements that walk an index in order until a page is full.

PostgreSQL takes the columns of the side table for unrelated, so that of three labels it expects one trace: it then
joins all there are and sorts them (seconds at five million spans), where a few hundred entries fill the page.
"""

CUT = {
    "enable_indexscan": "off",
    "enable_seqscan": "off",
    "cpu_operator_cost": "0.05",
    "max_parallel_workers_per_gather": "0",
}
"""For statements that look for words among some row numbers.

What the index of words names and these numbers are cut with each other as bitmaps (6 to 14 ms of five million spans).
Left to itself PostgreSQL, which knows the frequency of the commonest words alone, reads the words of every row in
between, expecting a rare word in one row of 250 (0.3 to 3 s).
"""


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


def _marks(columns: Sequence[str]) -> str:
    """Return SQLite's marks for the values of one row."""
    return "(" + ", ".join("?" * len(columns)) + ")"


def _insert(table: str, columns: Sequence[str], marks: str, tail: str) -> str:
    return f"INSERT INTO {table} ({quoted(columns)}) VALUES {marks} {tail}"


@lru_cache(maxsize=256)
def _inserting(table: str, columns: tuple[str, ...], count: int, tail: str) -> str:
    """Return PostgreSQL's statement that inserts `count` rows."""
    width = len(columns)
    rows = (
        "(" + ", ".join(f"${row * width + place}" for place in range(1, width + 1)) + ")"
        for row in range(count)
    )
    return _insert(table, columns, ", ".join(rows), tail)


def insert_rows(
    conn: Connection,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    keys: Sequence[str],
) -> int:
    """Insert `rows`, leaving out those whose `keys` exist; returns how many went in."""
    if not rows:
        return 0
    tail = f"ON CONFLICT ({quoted(keys)}) DO NOTHING"
    if is_sqlite(conn):
        return int(conn.exec_driver_sql(_insert(table, columns, _marks(columns), tail), list(rows)).rowcount)
    return sum(cursor.rowcount for cursor in _inserted(conn, table, columns, rows, tail))


def returning_rows(
    conn: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], tail: str
) -> list[Any]:
    """Insert `rows` with the conflict clause and RETURNING list in `tail`; returns what comes back."""
    if not is_sqlite(conn):
        return [row for cursor in _inserted(conn, table, columns, rows, tail) for row in cursor.fetchall()]
    found: list[Any] = []
    for chunk in _chunks(rows):
        flat = tuple(value for row in chunk for value in row)
        marks = ", ".join([_marks(columns)] * len(chunk))
        found.extend(conn.exec_driver_sql(_insert(table, columns, marks, tail), flat))
    return found


def _inserted(
    conn: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], tail: str
) -> Iterator[Any]:
    """Insert rows into PostgreSQL; yields the driver's cursor of each statement."""
    for chunk in _chunks(rows):
        flat = [value for row in chunk for value in row]
        yield numbered(conn, _inserting(table, tuple(columns), len(chunk), tail), flat)
