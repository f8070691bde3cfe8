"""Nouns of traces: spans as they are recorded, summaries as they are listed, usage as it is summed."""

from typing import Any, Literal

import msgspec

Kind = Literal["llm", "embedding", "tool", "retriever", "chain", "agent", "guard", "http", "other"]
Status = Literal["ok", "error", "unset"]

KINDS: tuple[Kind, ...] = (
    "llm",
    "embedding",
    "tool",
    "retriever",
    "chain",
    "agent",
    "guard",
    "http",
    "other",
)
STATUSES: tuple[Status, ...] = ("ok", "error", "unset")
PREVIEW_CHARS = 200


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened during a span, such as an exception or the first token."""

    name: str
    at_ns: int
    attributes: dict[str, Any] = {}


class SpanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished step of a trace.

    Times are nanoseconds since the Unix epoch, `ttft_ns` (time to first token) nanoseconds from the start.
    `input_tokens` counts everything the model read, `cached_tokens` and `cache_write_tokens` included;
    `output_tokens` everything it wrote, `reasoning_tokens` included. Money is US dollars; a `cost_usd` of None
    means that the price is not known. `input` and `output` are JSON documents.
    """

    trace_id: str
    """32 lower-case hex digits."""
    span_id: str
    """16 lower-case hex digits."""
    name: str
    start_ns: int
    end_ns: int
    parent_id: str | None = None
    kind: Kind = "other"
    status: Status = "unset"
    error: str | None = None
    model: str | None = None
    """The model that answered."""
    requested_model: str | None = None
    """The model that was asked for: a route's name at the gateway."""
    provider: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Input tokens read from the provider's prompt cache."""
    cache_write_tokens: int = 0
    """Input tokens written into the provider's prompt cache."""
    reasoning_tokens: int = 0
    """Output tokens that were thinking, not answer."""
    cost_usd: float | None = None
    price_version: str | None = None
    tokens_estimated: bool = False
    """True when the provider reported no counts and they were estimated."""
    ttft_ns: int | None = None
    user: str | None = None
    session: str | None = None
    key_id: str | None = None
    route: str | None = None
    environment: str | None = None
    prompt: str | None = None
    """`name@version` of the prompt the call was made with."""
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    input: bytes | None = None
    output: bytes | None = None
    attributes: dict[str, Any] = {}
    events: tuple[SpanEvent, ...] = ()

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from start to end, never negative."""
        return max(0, self.end_ns - self.start_ns)
