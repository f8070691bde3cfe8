"""A deadline for the statements of a connection, and a way to stop them from outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from penstock.core import clock
from penstock.core.db import is_sqlite
from penstock.core.errors import Cancelled, Unprocessable
from penstock.core.stopping import Stop

_STEPS = 2000
"""Instructions of SQLite's machine between two looks at the clock: about 50 µs."""
_POSTGRES_CANCELLED = "57014"


class Deadline:
    """When the work of a query must be over."""

    def __init__(self, seconds: float, stop: Stop) -> None:
        self.seconds = seconds
        self._stop = stop
        self._start = self._looked = clock.monotonic()

    def over(self) -> bool:
        """Whether the work has to end now."""
        return self._stop.asked or clock.monotonic() - self._start > self.seconds

    def near(self) -> bool:
        """Whether half of the time is gone: what can be answered with less should be."""
        return clock.monotonic() - self._start > self.seconds / 2

    def more(self, size: int, largest: int) -> int:
        """Return how many to try after `size` were: twice as many, unless a tenth of the time went by since last asked.

        A disk that is read for the first time, or is busy, would make of twice as many more than the time allows.
        """
        before, self._looked = self._looked, clock.monotonic()
        slow = self._looked - before > self.seconds / 10
        return size if slow else min(2 * size, largest)

    def left(self) -> float:
        """Return the seconds until the work must be over; 0 when it must be by now."""
        return max(0.0, self.seconds - (clock.monotonic() - self._start))

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Call `interrupt` when the work is asked to stop inside the block."""
        with self._stop.interrupting(interrupt):
            yield

    def check(self) -> None:
        """Raise what `error` returns once the time is over."""
        if self.over():
            raise self.error()

    def error(self) -> Exception:
        """Return the error that says why the work ended."""
        if self._stop.asked:
            return Cancelled("The query was stopped because its caller left.")
        return Unprocessable(
            f"The query took longer than {self.seconds:g} seconds and was stopped.",
            hint="Add a time such as since:24h or a field with few matches, or raise [traces] query_seconds.",
        )


@contextmanager
def limited(conn: Connection, seconds: float, stop: Stop | None = None) -> Iterator[Deadline]:
    """Let statements on `conn` (of every scope) run for `seconds` at most, and end when `stop` is asked.

    Raises Unprocessable when the time is over, Cancelled when it was stopped.
    """
    deadline = Deadline(seconds, stop or Stop())
    with within(conn, deadline):
        yield deadline


@contextmanager
def within(conn: Connection, deadline: Deadline) -> Iterator[None]:
    """Let statements on `conn` (of every scope) run until the deadline, which may have begun long ago.

    Raises what `Deadline.error` returns.
    """
    guarded = _sqlite if is_sqlite(conn) else _postgres
    try:
        with guarded(conn, deadline):
            yield
    except DBAPIError as error:
        interrupted = "interrupted" in str(error.orig).lower()
        if not interrupted and getattr(error.orig, "sqlstate", None) != _POSTGRES_CANCELLED:
            raise
        raise deadline.error() from error


@contextmanager
def _sqlite(conn: Connection, deadline: Deadline) -> Iterator[None]:
    driver: Any = conn.connection.driver_connection
    driver.set_progress_handler(deadline.over, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def _postgres(conn: Connection, deadline: Deadline) -> Iterator[None]:
    driver: Any = conn.connection.driver_connection
    conn.execute(text(f"SET LOCAL statement_timeout = {max(1, int(deadline.left() * 1000))}"))
    with deadline.interrupting(driver.cancel):
        yield
