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
    LABEL = "label"
    """One of the options of a score config."""
    COMMENT = "comment"
    """A remark."""
    CORRECTION = "correction"
    """What the answer should have been."""
    DEMONSTRATION = "demonstration"
    """A good answer to what was asked, written without regard to the one that was given."""
    PREFERENCE = "preference"
    """Two answers, one chosen over the other."""


TEXTS = (Kind.CORRECTION, Kind.COMMENT, Kind.DEMONSTRATION)
"""Kinds whose value is a text of the caller's own."""


class ScoreKind(StrEnum):
    """What values a score may have."""

    NUMBER = "number"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


class DatasetKind(StrEnum):
    """What `build_dataset` makes of feedback."""

    PREFERENCE = "preference"
    """`{prompt, chosen, rejected}` from corrections and preferences."""
    SFT = "sft"
    """`{prompt, completion}` from corrections and demonstrations."""
    ACCEPTED = "accepted"
    """`{prompt, completion}` from answers with a thumb up: for replay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreConfig:
    """What values feedback of one name may have in a project."""

    name: str
    kind: ScoreKind
    low: float | None = None
    """Least value of a number; None: no bound."""
    high: float | None = None
    options: tuple[str, ...] = ()
    """Of a categorical score, in the order they are shown."""
    description: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One judgement about one answer, or about a whole session."""

    id: str
    trace_id: str
    """Empty when it is about a session."""
    span_id: str | None
    session: str
    """Empty when it is about a trace."""
    name: str
    kind: Kind
    number: float | None
    """Of thumbs, ratings and scores."""
    text: str | None
    """Of corrections, demonstrations, comments and labels."""
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


def check_name(name: str) -> str:
    """Return `name`; raises Invalid unless feedback may be called so."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a name for feedback.", hint="Use lower-case letters, digits and . _ -."
        )
    return name


def check_value(name: str, value: Any, config: ScoreConfig | None = None) -> Value:
    """Return the checked value of feedback called `name`; raises Invalid that says what is wrong.

    The names thumb, rating, comment, correction, demonstration and preference have their own form; any other is a
    score: a number, or what its `config` allows.
    """
    check_name(name)
    if name == Kind.THUMB:
        return Value(Kind.THUMB, number=_thumb(value))
    if name in TEXTS:
        return Value(Kind(name), text=_text(name, value))
    if name == Kind.PREFERENCE:
        return _preference(value)
    if config is not None:
        return check_scored(config, value)
    return Value(Kind.RATING if name == Kind.RATING else Kind.SCORE, number=_number(name, value))


FIXED_NAMES = frozenset(str(kind) for kind in (Kind.THUMB, Kind.PREFERENCE, *TEXTS))
"""Names whose values have a form of their own, which no config changes."""
MOST_OPTIONS = 100


def check_config(config: ScoreConfig) -> ScoreConfig:
    """Return `config`; raises Invalid for a fixed name, bounds that leave nothing, or options that do not fit."""
    if check_name(config.name) in FIXED_NAMES:
        raise Invalid(f"The values of {config.name!r} are fixed.", hint="Give the score another name.")
    if config.kind is not ScoreKind.NUMBER and (config.low is not None or config.high is not None):
        raise Invalid(f"Only numbers have a range; {config.name!r} is {config.kind}.")
    for bound in (config.low, config.high):
        if bound is not None and not math.isfinite(bound):
            raise Invalid("A bound is a finite number.", hint="Leave it out for no bound.")
    if config.low is not None and config.high is not None and config.low >= config.high:
        raise Invalid(f"The range of {config.name!r} goes from {config.low:g} to {config.high:g}.")
    if config.kind is ScoreKind.CATEGORICAL:
        _check_options(config)
    elif config.options:
        raise Invalid(f"Only categorical scores have options; {config.name!r} is {config.kind}.")
    return config


def _check_options(config: ScoreConfig) -> None:
    options = config.options
    if not 2 <= len(options) <= MOST_OPTIONS or len(set(options)) != len(options):
        raise Invalid(f"{config.name!r} needs 2 to {MOST_OPTIONS} different options.")
    if not all(0 < len(option.strip()) <= 200 for option in options):
        raise Invalid(f"An option of {config.name!r} has 1 to 200 characters.")


def check_scored(config: ScoreConfig, value: Any) -> Value:
    """Return the checked value of a score that `config` describes; raises Invalid."""
    if config.kind is ScoreKind.CATEGORICAL:
        if value not in config.options:
            known = ", ".join(config.options)
            raise Invalid(f"{value!r} is not an option of {config.name}.", hint=f"Use one of {known}.")
        return Value(Kind.LABEL, text=str(value))
    if config.kind is ScoreKind.BOOLEAN:
        if not isinstance(value, bool):
            raise Invalid(f"{config.name} is true or false, not {value!r}.")
        return Value(Kind.SCORE, number=float(value))
    number = _number(config.name, value)
    if (config.low is not None and number < config.low) or (config.high is not None and number > config.high):
        low, high = ("…" if bound is None else f"{bound:g}" for bound in (config.low, config.high))
        raise Invalid(f"{config.name} goes from {low} to {high}; {number:g} lies outside.")
    return Value(Kind.RATING if config.name == Kind.RATING else Kind.SCORE, number=number)
