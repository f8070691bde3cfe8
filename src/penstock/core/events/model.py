"""What an event is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from penstock.core.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact in the past tense; subclass it as a frozen keyword-only dataclass of JSON values."""

    name: ClassVar[str] = ""
    """`<slice>.<verbed>`, for example `prompts.label_moved`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An event as a subscriber gets it."""

    id: str
    """The same on every delivery of the event: handle each id once."""
    name: str
    scope: Scope
    at: datetime
    data: dict[str, Any]
