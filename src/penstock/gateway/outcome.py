"""What became of a call: what its trace and its bill are made of."""

from collections.abc import Callable
from typing import Any

from penstock.gateway.model import Usage
from penstock.traces.model import SpanEvent
from penstock.traces.prices import Cost


class Outcome:
    """Filled in as the call goes on."""

    __slots__ = (
        "answer_model", "answered", "attempts", "cache", "cost", "end_ns", "error", "estimated", "events", "first_ns",
        "notes", "output", "priced", "status", "untold", "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self.attempts = 0
        self.status = 0
        self.error: str | None = None
        self.usage: Usage | None = None
        self.estimated = False
        """Whether `usage` was estimated by size because nobody reported it."""
        self.cost: Cost | None = None
        self.priced = False
        """Whether `cost` is what will be booked; None then says that nobody knows a price."""
        self.answered = False
        """Whether a provider (or the cache) answered, be it in part."""
        self.untold = False
        """Whether a provider took a request and nobody waited for what became of it: it may be billed."""
        self.answer_model = ""
        """The provider's name of the model."""
        self.output: Callable[[], bytes | None] | None = None
        """Puts the answer together, in the shape of one that was not streamed."""
        self.cache = ""
        """hit, miss or bypass, where the route has a cache."""
        self.notes: dict[str, Any] = {}
        """Becomes attributes of the span, below `gateway.`."""
        self.events: list[SpanEvent] = []
        """Becomes events of the span: what guards found."""
        self.first_ns = 0
        self.end_ns = 0
