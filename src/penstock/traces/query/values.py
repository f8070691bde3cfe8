"""Numbers, lengths of time and points in time as people write them."""

import math
import re
from datetime import datetime, timedelta

from penstock.core import clock
from penstock.traces.query.fields import Field
from penstock.traces.query.nodes import Moment

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([a-zA-Zµ]*)", re.ASCII)
_SECONDS = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_MANY = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6}
_LARGEST = 1e15
_FIRST_YEAR, _LAST_YEAR = 1970, 2261
"""What nanoseconds since the epoch can hold in 64 bits."""
_DAY, _HOUR, _MINUTE = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r".*T\d\d"), re.compile(r".*T\d\d:\d\d")


class Unreadable(ValueError):
    """A value that does not fit its field; the text says what would."""


def number(field: Field, text: str) -> float:
    """Return the number `text` means for `field`: seconds for durations, US dollars for money; raises Unreadable."""
    units = _SECONDS | {"": 1.0} if field.holds == "duration" else _MANY
    found = _NUMBER.fullmatch(text.removeprefix("$") if field.holds == "money" else text)
    if found is None or found.group(2) not in units:
        like = "a length of time such as 500ms, 2s or 1.5m" if field.holds == "duration" else "a number"
        raise Unreadable(f"{field.name} needs {like}, not {text!r}")
    value = float(found.group(1)) * units[found.group(2)]
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise Unreadable(f"{text!r} is too large")
    return value


def moment(text: str) -> Moment:
    """Return a point in time: a length of time ago (`90m`, `7d`) or ISO 8601; raises Unreadable."""
    found = _NUMBER.fullmatch(text)
    if found is not None and found.group(2) in _SECONDS and not text.startswith(("-", "+")):
        ago = float(found.group(1)) * _SECONDS[found.group(2)]
        if math.isfinite(ago) and ago <= _LARGEST:
            return Moment(ago=ago)
    if text == "now":
        return Moment()
    return Moment(at=_fixed(text))


def _fixed(text: str) -> datetime:
    like = f"{text!r} is not a time; write 1h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z"
    try:
        at = clock.from_ns(clock.to_ns(clock.parse_iso(text)))
    except (ValueError, OverflowError) as error:
        raise Unreadable(like) from error
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise Unreadable(like)
    return at


def stretch(text: str) -> tuple[Moment | None, Moment | None]:
    """Return [start, end) of `A..B`, or of the day, hour, minute or second that `text` names; raises Unreadable."""
    if ".." in text:
        first, _, last = text.partition("..")
        if not first and not last:
            raise Unreadable("a range needs a start or an end")
        return (moment(first) if first else None), (moment(last) if last else None)
    start = _fixed(text)
    length = timedelta(seconds=1)
    for form, long in ((_DAY, 86400), (_HOUR, 3600), (_MINUTE, 60)):
        if form.fullmatch(text):
            length = timedelta(seconds=long)
    return Moment(at=start), Moment(at=start + length)
