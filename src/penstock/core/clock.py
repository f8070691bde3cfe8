"""The one clock. Everything that asks for the time asks here, so that tests can set it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_frozen_ns: ContextVar[int | None] = ContextVar("penstock_frozen_ns", default=None)


def now_ns() -> int:
    """Return nanoseconds since the Unix epoch."""
    frozen = _frozen_ns.get()
    return time.time_ns() if frozen is None else frozen


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return from_ns(now_ns())


def monotonic() -> float:
    """Return seconds on a clock that never goes backwards; only differences mean anything."""
    return time.monotonic()


def from_ns(ns: int) -> datetime:
    """Return the aware UTC datetime of `ns` nanoseconds since the epoch, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def to_ns(moment: datetime) -> int:
    """Return nanoseconds since the epoch of an aware datetime."""
    delta = moment - _EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000


def iso(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with microseconds and a Z, the form the API speaks."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_iso(text: str) -> datetime:
    """Return the aware datetime of an ISO 8601 text; a text without offset is read as UTC.

    Raises ValueError when the text is not a date.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Hold `now` and `now_ns` at `at` for this context: for tests."""
    token = _frozen_ns.set(to_ns(at))
    try:
        yield
    finally:
        _frozen_ns.reset(token)
