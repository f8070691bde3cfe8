"""Nouns of logs: records as they are kept and listed."""

from datetime import datetime
from typing import Any

import msgspec

SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warning": 13, "error": 17, "fatal": 21}
"""Name of a severity → the lowest of OpenTelemetry's numbers for it."""


def severity_name(number: int) -> str:
    """Return the name of OpenTelemetry's number; "" for 0, which says nothing."""
    return next((name for name, lowest in reversed(SEVERITIES.items()) if number >= lowest), "")


class LogContent(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"body": "b", "attributes": "a", "resource": "r", "scope": "s"},
):
    """What a record says, beside the columns it is found by."""

    body: Any = None
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}
    scope: dict[str, Any] = {}


class LogRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One log record."""

    id: int
    at_ns: int
    """Nanoseconds since the epoch: when it happened, else when it was observed, else when it arrived."""
    trace_id: str | None
    span_id: str | None
    severity: int
    """OpenTelemetry's number: 1 trace, 5 debug, 9 info, 13 warning, 17 error, 21 fatal; 0 unknown."""
    event: str | None
    """Name of an event; None for a plain line."""
    service: str | None
    content: LogContent


class LogFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which records to list: those that meet every condition given."""

    since: datetime | None = None
    until: datetime | None = None
    trace_id: bytes | None = None
    span_id: bytes | None = None
    event: str | None = None
    service: str | None = None
    min_severity: int = 0
    q: str | None = None
    """Text that occurs in the first part of what the record says, whatever the case."""


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of records, newest first."""

    items: tuple[LogRecord, ...]
    next: tuple[int, int] | None = None
    """Pass as `after` to go on; None at the end."""
