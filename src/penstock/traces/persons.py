"""Nouns of users and sessions."""

from datetime import datetime

import msgspec

from penstock.traces.model import Status


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user or a session with its totals; tokens and cost are of model calls, errors of spans of every kind."""

    name: str
    user: str | None = None
    """Of a session: the first user named in it."""
    traces: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    first_at: datetime
    """When the first trace began."""
    last_at: datetime
    """When the last trace began."""
    sessions: int = 0
    """Of a user: sessions that are theirs."""
    preview: str = ""
    """Of a session: what its first trace was given, cut."""


class PeoplePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of users or sessions."""

    items: tuple[Person, ...]
    next: tuple[int, str] | None = None
    """Pass as `after` to go on; None at the end."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One trace of a session as a turn of a conversation; texts that are long are cut and say so."""

    trace_id: str
    name: str
    at: datetime
    user: str | None
    input: str
    output: str
    status: Status
    errors: int
    calls: int
    model: str | None
    input_tokens: int
    output_tokens: int
    cost_usd: float
    duration_ns: int


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Turns of a session, oldest first."""

    session: str
    turns: tuple[Turn, ...]
    next: tuple[int, int] | None = None
    """Pass as `after` to go on; None at the end."""
