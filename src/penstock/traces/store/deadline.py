"""A time limit for statements that may have much to read."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from penstock.core import clock
from penstock.core.db import is_sqlite
from penstock.core.errors import Unavailable

_STEPS = 20_000
"""SQLite's virtual machine instructions between two looks at the clock: about a millisecond."""


@contextmanager
def deadline(conn: Connection, seconds: float, what: str) -> Iterator[None]:
    """Stop the statements of the block after `seconds` together; raises Unavailable, which says that `what` took long.

    Rows must be fetched inside the block. Scopes are the statements' own business: this works in every scope.
    """
    try:
        with _sqlite(conn, seconds) if is_sqlite(conn) else _postgres(conn, seconds):
            yield
    except OperationalError as error:
        if "interrupted" in str(error.orig) or "statement timeout" in str(error.orig):
            raise Unavailable(
                f"{what} took longer than {seconds:g} seconds.", hint="Ask for a shorter time range."
            ) from error
        raise


@contextmanager
def _sqlite(conn: Connection, seconds: float) -> Iterator[None]:
    raw = conn.connection.driver_connection
    end = clock.monotonic() + seconds
    raw.set_progress_handler(lambda: 1 if clock.monotonic() > end else 0, _STEPS)  # type: ignore[union-attr]
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)  # type: ignore[union-attr]


@contextmanager
def _postgres(conn: Connection, seconds: float) -> Iterator[None]:
    conn.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
    yield
    conn.execute(text("SET LOCAL statement_timeout = 0"))
