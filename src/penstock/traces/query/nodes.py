"""What a query says: frozen nodes that print themselves in the canonical form of the language.

Each leaf is a statement about a trace: that some span of it (or the trace as a whole, for sums and times) meets it.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from penstock.core import clock

_BARE = re.compile(r'[^\s()"*]+')
_WORD = re.compile(r'[^\s()":<>=!*\-][^\s()":<>=!*]*')
_KEY = re.compile(r'[^\s()":<>=!]+')
OPERATORS = ("AND", "OR", "NOT")
_UNITS = {"latency": "s", "ttft": "s"}

Where = Literal["text", "input", "output", "error"]


def quote(text: str) -> str:
    """Return `text` as a quoted chunk."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def field_name(field: str, key: str) -> str:
    """Return a field with its key, such as metadata.customer."""
    if not key:
        return field
    return f"{field}.{key if _KEY.fullmatch(key) else quote(key)}"


def number_text(value: float) -> str:
    """Return the shortest text that reads back as `value`."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Literal parts between wildcards: ("gpt-", "") is gpt-*, ("a",) is exactly a, ("", "") is anything."""

    parts: tuple[str, ...]

    @property
    def exact(self) -> str | None:
        """The one text it stands for, None with wildcards."""
        return self.parts[0] if len(self.parts) == 1 else None

    @property
    def anything(self) -> bool:
        """Whether every value meets it."""
        return len(self.parts) > 1 and not any(self.parts)

    def matches(self, value: str) -> bool:
        """Whether `value` meets the pattern; case counts."""
        return re.fullmatch(".*".join(re.escape(part) for part in self.parts), value, re.DOTALL) is not None

    def __str__(self) -> str:
        return "*".join(part if not part or _BARE.fullmatch(part) else quote(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Label:
    """A field with a text: `model:gpt-*`, `metadata.customer:acme`."""

    field: str
    key: str
    pattern: Pattern

    def __str__(self) -> str:
        return f"{field_name(self.field, self.key)}:{self.pattern}"


@dataclass(frozen=True, slots=True)
class Number:
    """A field with a number between `low` and `high` (None: no end); times in seconds, money in US dollars."""

    field: str
    key: str
    low: float | None
    high: float | None
    low_in: bool = True
    high_in: bool = True

    def __str__(self) -> str:
        name = field_name(self.field, self.key)
        low, high = self._end(self.low), self._end(self.high)
        if low is not None and high is not None:
            return f"{name}:{low}" if low == high else f"{name}:{low}..{high}"
        if low is not None:
            return f"{name}>{'=' if self.low_in else ''}{low}"
        return f"{name}<{'=' if self.high_in else ''}{high}"

    def _end(self, value: float | None) -> str | None:
        return None if value is None else number_text(value) + _UNITS.get(self.field, "")


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: fixed (`at`), or `ago` seconds before the question is asked."""

    ago: float = 0.0
    at: datetime | None = None

    def resolve(self, now: datetime) -> datetime:
        """Return the point in time when asked at `now`."""
        if self.at is not None:
            return self.at
        try:
            return now - timedelta(seconds=self.ago)
        except OverflowError:
            return datetime(1, 1, 1, tzinfo=now.tzinfo)

    def __str__(self) -> str:
        if self.at is not None:
            return clock.iso(self.at).replace(".000000Z", "Z")
        for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
            if self.ago and self.ago % seconds == 0:
                return number_text(self.ago / seconds) + unit
        return number_text(self.ago) + "s"


@dataclass(frozen=True, slots=True)
class Time:
    """Traces that started in [since, until)."""

    since: Moment | None
    until: Moment | None

    def __str__(self) -> str:
        if self.since is not None and self.until is not None:
            return f"at:{self.since}..{self.until}"
        return f"since:{self.since}" if self.since is not None else f"until:{self.until}"


@dataclass(frozen=True, slots=True)
class Words:
    """Words that occur in one span: all of `text`, in this order if `phrase`; the last may go on if `prefix`."""

    where: Where
    text: str
    phrase: bool = False
    prefix: bool = False

    def __str__(self) -> str:
        value = quote(self.text) if self.phrase else self.text + ("*" if self.prefix else "")
        bare = self.where == "text" and (self.phrase or self._bare())
        return value if bare else f"{self.where}:{value}"

    def _bare(self) -> bool:
        return _WORD.fullmatch(self.text) is not None and self.text not in OPERATORS


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more."""

    items: tuple["Node", ...]

    def __str__(self) -> str:
        return " ".join(f"({item})" if isinstance(item, Or) else str(item) for item in self.items)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of two or more."""

    items: tuple["Node", ...]

    def __str__(self) -> str:
        return " OR ".join(str(item) for item in self.items)


@dataclass(frozen=True, slots=True)
class Not:
    """Traces that do not meet `item`."""

    item: "Node"

    def __str__(self) -> str:
        return f"-({self.item})" if isinstance(self.item, And | Or) else f"-{self.item}"


Leaf: TypeAlias = Label | Number | Time | Words
Node: TypeAlias = And | Or | Not | Label | Number | Time | Words


def every(*items: Node) -> Node:
    """Return the node that asks for all of `items` (one or more)."""
    flat: list[Node] = []
    for item in items:
        flat.extend(item.items if isinstance(item, And) else (item,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def some(*items: Node) -> Node:
    """Return the node that asks for one of `items` (one or more)."""
    flat: list[Node] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Or) else (item,))
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def none_of(item: Node) -> Node:
    """Return the node that asks for the opposite of `item`."""
    return item.item if isinstance(item, Not) else Not(item)
