"""The few forms of SQL that the bulk paths need, for both engines."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from penstock.core.db import is_sqlite

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


def _values(conn: Connection, table: str, columns: Sequence[str], count: int) -> str:
    one = "(" + ", ".join([placeholder(conn)] * len(columns)) + ")"
    return f"INSERT INTO {table} ({quoted(columns)}) VALUES " + ", ".join([one] * count)


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
    tail = f" ON CONFLICT ({quoted(keys)}) DO NOTHING"
    if is_sqlite(conn):
        statement = _values(conn, table, columns, 1) + tail
        return int(conn.exec_driver_sql(statement, list(rows)).rowcount)
    inserted = 0
    for chunk in _chunks(rows):
        flat = tuple(value for row in chunk for value in row)
        inserted += conn.exec_driver_sql(_values(conn, table, columns, len(chunk)) + tail, flat).rowcount
    return inserted


def returning_rows(
    conn: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], tail: str
) -> list[Any]:
    """Insert `rows` with the conflict clause and RETURNING list in `tail`; returns what comes back."""
    found: list[Any] = []
    for chunk in _chunks(rows):
        flat = tuple(value for row in chunk for value in row)
        found.extend(conn.exec_driver_sql(_values(conn, table, columns, len(chunk)) + tail, flat))
    return found
