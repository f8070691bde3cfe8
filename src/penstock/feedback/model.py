"""The nouns of feedback and how values are checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.errors import Invalid

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
MAX_TEXT = 200_000
"""Longest correction or comment, in characters."""

_THUMBS: Mapping[Any, float] = {"up": 1.0, "down": 0.0, True: 1.0, False: 0.0, -1: 0.0}
"""The numbers 1 and 0 equal True and False as keys."""


class Kind(StrEnum):
    """What a piece of feedback says."""

    THUMB = "thumb"
    """Up (1) or down (0)."""
    RATING = "rating"
    """A number, on whatever scale the caller uses."""
    SCORE = "score"
    """A number under a name of the caller's own."""
    COMMENT = "comment"
    """A remark."""
    CORRECTION = "correction"
    """What the answer should have been."""
    PREFERENCE = "preference"
    """Two answers, one chosen over the other."""


class DatasetKind(StrEnum):
    """What `build_dataset` makes of feedback."""

    PREFERENCE = "preference"
    """`{prompt, chosen, rejected}` from corrections and preferences."""
    SFT = "sft"
    """`{prompt, completion}` from corrections."""
    ACCEPTED = "accepted"
    """`{prompt, completion}` from answers with a thumb up: for replay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One judgement about one answer."""

    id: str
    trace_id: str
    span_id: str | None
    name: str
    kind: Kind
    number: float | None
    """Of thumbs, ratings and scores."""
    text: str | None
    """Of corrections and comments."""
    chosen: str | None
    rejected: str | None
    """Of preferences."""
    comment: str
    source: str
    """Who judged: `user`, `reviewer`, `judge:NAME` …"""
    subject: str
    """The person the answer was for, as known to the application; empty when unknown."""
    route: str
    """Public model name that answered; empty when the trace was not there yet."""
    actor: str
    key: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer as its trace recorded it."""

    trace_id: str
    span_id: str
    messages: tuple[Mapping[str, Any], ...]
    """What was asked, in the OpenAI form."""
    text: str
    route: str
    user: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A piece of feedback together with the answer it is about."""

    feedback: Feedback
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Rows made of feedback, what they were made of, and what had to be left out."""

    rows: tuple[dict[str, Any], ...]
    used: tuple[Judged, ...]
    skipped: Mapping[str, int]
    """Reason → how many pieces of feedback were left out for it."""


@dataclass(frozen=True, slots=True)
class Value:
    """A checked value."""

    kind: Kind
    number: float | None = None
    text: str | None = None
    chosen: str | None = None
    rejected: str | None = None


def check_ids(trace_id: str, span_id: str | None) -> None:
    """Raise Invalid unless both ids have the W3C form."""
    if not _TRACE_ID.fullmatch(trace_id):
        raise Invalid(f"{trace_id!r} is not a trace id.", hint="Use the x-penstock-trace-id of the answer.")
    if span_id is not None and not _SPAN_ID.fullmatch(span_id):
        raise Invalid(f"{span_id!r} is not a span id.", hint="Use 16 lower-case hex digits, or leave it out.")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(f"A {name} must be a finite number, not {value!r}.")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"A {name} must be a text that is not empty.")
    if len(value) > MAX_TEXT:
        raise Invalid(f"A {name} may have {MAX_TEXT} characters; this one has {len(value)}.")
    return value


def _thumb(value: Any) -> float:
    if not isinstance(value, bool | int | float | str) or value not in _THUMBS:
        raise Invalid(f"A thumb is up or down, not {value!r}.", hint='Send true or false, "up" or "down".')
    return _THUMBS[value]


def _preference(value: Any) -> Value:
    if not isinstance(value, Mapping) or set(value) != {"chosen", "rejected"}:
        raise Invalid("A preference needs exactly the texts `chosen` and `rejected`.")
    chosen, rejected = (_text(side, value[side]) for side in ("chosen", "rejected"))
    if chosen == rejected:
        raise Invalid("The chosen and the rejected answer are the same.")
    return Value(Kind.PREFERENCE, chosen=chosen, rejected=rejected)


def check_value(name: str, value: Any) -> Value:
    """Return the checked value of feedback called `name`; raises Invalid that says what is wrong.

    The names thumb, rating, comment, correction and preference have their own form; any other name is a score.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a name for feedback.", hint="Use lower-case letters, digits and . _ -."
        )
    if name == Kind.THUMB:
        return Value(Kind.THUMB, number=_thumb(value))
    if name in (Kind.CORRECTION, Kind.COMMENT):
        return Value(Kind(name), text=_text(name, value))
    if name == Kind.PREFERENCE:
        return _preference(value)
    return Value(Kind.RATING if name == Kind.RATING else Kind.SCORE, number=_number(name, value))
