"""Runs a query on a throw-away SQLite database in memory: it may read, for a while, and nothing else."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from penstock.core import clock
from penstock.core.errors import Unprocessable

Rows = list[tuple[Any, ...]]

_STEPS = 10_000
"""Virtual machine steps between two looks at the clock."""
_LONGEST = 16 * 2**20
"""Bytes of a value or a row."""
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_OUTSIDE = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA})
_FORBIDDEN = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})


class QueryFailed(Unprocessable):
    """The query is wrong, forbidden, too slow or too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a query may use."""

    seconds: float = 2.0
    rows: int = 10_000


def _answer(allowed: bool) -> int:
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _may_read(action: int, _first: str | None, second: str | None, *_: Any) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        return _answer((second or "").lower() not in _FORBIDDEN)
    return _answer(action in _READING)


def _may_fill(action: int, _first: str | None, second: str | None, *_: Any) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        return _answer((second or "").lower() not in _FORBIDDEN)
    return _answer(action not in _OUTSIDE)


def run(schema: str, query: str, limits: Limits) -> Rows:
    """Return the rows of `query` on a database that `schema` (SQL) makes and fills.

    The schema may not reach outside the database, the query may only read. Raises QueryFailed.
    """
    connection = sqlite3.connect(":memory:")
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        deadline = clock.monotonic() + limits.seconds
        connection.set_progress_handler(lambda: clock.monotonic() > deadline, _STEPS)
        connection.set_authorizer(_may_fill)
        connection.executescript(schema)
        connection.set_authorizer(_may_read)
        cursor = connection.execute(query)
        if cursor.description is None:
            raise QueryFailed("There is no query that gives rows.")
        rows = cursor.fetchmany(limits.rows + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise QueryFailed(f"The query failed: {error}.") from error
    finally:
        connection.close()
    if len(rows) > limits.rows:
        raise QueryFailed(f"The query gives more than {limits.rows} rows.")
    return rows
