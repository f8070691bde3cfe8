"""Ids and moments as other programs write them."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from penstock.core import clock
from penstock.core.errors import Invalid

_HEX = frozenset("0123456789abcdef")


def _hex(text: str, digits: int) -> str | None:
    return text if len(text) == digits and set(text) <= _HEX and text.strip("0") else None


def trace_id(given: Any) -> str:
    """Return 32 hex digits: the id itself when it holds them (UUIDs and `tr-` too), else the same for the same text."""
    text = str(given or "").strip()
    if not text:
        raise Invalid("it has no trace id")
    plain = text.lower().removeprefix("tr-").removeprefix("0x").replace("-", "")
    return _hex(plain, 32) or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def span_id(given: Any, trace: str) -> str:
    """Return 16 hex digits: the id itself, else the same for the same text in the same trace."""
    text = str(given or "").strip()
    if not text:
        raise Invalid("it has no span id")
    plain = _hex(text.lower().removeprefix("0x"), 16)
    return plain or hashlib.sha256(f"{trace}/{text}".encode("utf-8", "replace")).hexdigest()[:16]


def moment(given: Any) -> int | None:
    """Return nanoseconds since the epoch, of ISO 8601 text or of a number in s, ms, µs or ns (by its size)."""
    if given is None or given == "" or isinstance(given, bool):
        return None
    if isinstance(given, datetime):
        return clock.to_ns(given if given.tzinfo else given.replace(tzinfo=UTC))
    if isinstance(given, str):
        if not given.strip().lstrip("-").replace(".", "", 1).isdigit():
            return _parsed(given)
        given = float(given) if "." in given else int(given)
    if not isinstance(given, int | float) or not 0 <= given < 1 << 63:
        raise Invalid(f"{given!r} is not a moment")
    for limit, factor in ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3)):
        if given < limit:
            return int(given * factor)
    return int(given)


def _parsed(text: str) -> int:
    try:
        return clock.to_ns(clock.parse_iso(text.strip()))
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{text[:60]!r} is not a moment") from error


def pick(row: dict[str, Any], *names: str) -> Any:
    """Return the first value under one of `names` that is not None."""
    return next((row[name] for name in names if row.get(name) is not None), None)
