"""What to make of times that cannot be: clocks that are unset, off by a unit, or far in the future."""

import msgspec

from penstock.traces.mapping import OtlpSpan

_EARLIEST_NS = 946_684_800 * 10**9
"""2000-01-01: before it are only unset clocks and times in the wrong unit."""
_AHEAD_NS = 86_400 * 10**9
"""How far a client's clock may be ahead."""
SENT_START, SENT_END = "penstock.sent_start_ns", "penstock.sent_end_ns"
"""Attributes in which a span keeps the times it was sent with."""


def plausible(ns: int, now_ns: int) -> bool:
    """Whether `ns` is a time that a living client could have sent at `now_ns`."""
    return _EARLIEST_NS <= ns <= now_ns + _AHEAD_NS


def settled(span: OtlpSpan, now_ns: int) -> OtlpSpan:
    """Return `span` with times that can be.

    An impossible start becomes the end, or the time of arrival when that is impossible too; an impossible end becomes
    the start. What was sent stays in the span's attributes.
    """
    start, end = plausible(span.start_ns, now_ns), plausible(span.end_ns, now_ns)
    if start and end:
        return span
    kept = {} if start else {SENT_START: str(span.start_ns)}
    if not end:
        kept[SENT_END] = str(span.end_ns)
    begin = span.start_ns if start else span.end_ns if end else now_ns
    return msgspec.structs.replace(
        span,
        start_ns=begin,
        end_ns=span.end_ns if end else begin,
        attributes=span.attributes | kept,
    )
