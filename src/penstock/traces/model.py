"""Nouns of traces: spans as they are recorded, summaries as they are listed, usage as it is summed."""

from datetime import datetime
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


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody or something thought of a span, as its instrumentation reported it."""

    name: str
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    source: str | None = None
    """Who judged (`LLM`, `CODE`, `HUMAN`), where it is said."""
    about: Literal["span", "trace", "session"] = "span"


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
    response_id: str | None = None
    """What the provider calls its answer (`chatcmpl-…`, `msg_…`)."""
    duplicate_of: str | None = None
    """`trace id/span id` of the span that counts when this one reports the same call; None when it counts itself."""
    finish_reasons: tuple[str, ...] = ()
    """Why the model stopped, one per choice, in the provider's words."""
    parameters: dict[str, Any] = {}
    """What the model was told beside the messages: temperature, max_tokens, …"""
    agent: str | None = None
    tool: str | None = None
    """The tool that was run (kind `tool`)."""
    tools: list[Any] = []
    """Definitions of the tools the model could call."""
    evaluations: tuple[Evaluation, ...] = ()
    finer_tokens: dict[str, int] = {}
    """Tokens of classes with prices of their own (`audio_input`, `cache_write_1h`, …: see `prices.Usage`)."""

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from start to end, never negative."""
        return max(0, self.end_ns - self.start_ns)


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """Where a search found its words."""

    span_id: str
    field: Literal["name", "error", "input", "output"]
    text: str
    """About 160 characters around the first word found."""
    marks: tuple[tuple[int, int], ...] = ()
    """[start, end) of each word found, in characters of `text`."""


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One trace as it is listed; sums are over its model calls (kinds llm and embedding)."""

    trace_id: str
    name: str
    """The root span's name; while the root has not arrived, the first span's."""
    start_ns: int
    end_ns: int
    duration_ns: int
    status: Status
    """`error` when any span failed, else `ok`."""
    spans: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    model: str | None = None
    user: str | None = None
    session: str | None = None
    route: str | None = None
    key_id: str | None = None
    environment: str | None = None
    input_preview: str | None = None
    output_preview: str | None = None
    snippet: Snippet | None = None
    """Of a trace that was found by words."""
    partial: bool = False
    """Sampling let go of spans of it that came earlier."""


class SpanRow(msgspec.Struct, frozen=True, kw_only=True):
    """One span without its body, as the trace tree shows it; fields as in SpanRecord."""

    span_id: str
    parent_id: str | None
    name: str
    kind: Kind
    status: Status
    start_ns: int
    end_ns: int
    ttft_ns: int | None
    model: str | None
    requested_model: str | None
    provider: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    tokens_estimated: bool
    cost_usd: float | None
    price_version: str | None
    user: str | None
    session: str | None
    key_id: str | None
    route: str | None
    environment: str | None
    prompt: str | None
    error: str | None
    input_preview: str | None
    output_preview: str | None
    response_id: str | None = None
    duplicate_of: str | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace with all its spans, by start time."""

    summary: TraceSummary
    spans: tuple[SpanRow, ...]


class TraceFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces to list: those that hold, for every condition given, a span that meets it."""

    since: datetime | None = None
    until: datetime | None = None
    kind: Kind | None = None
    model: str | None = None
    """The model that answered or the one that was asked for."""
    provider: str | None = None
    status: Literal["ok", "error"] | None = None
    """`error`: a span failed; `ok`: none did."""
    user: str | None = None
    session: str | None = None
    key: str | None = None
    route: str | None = None
    environment: str | None = None
    prompt: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    min_latency_ms: float | None = None
    q: str | None = None
    """Words that all occur in the name, error, input or output of one span."""
    query: str | None = None
    """A query in the language of `traces.query`, beside the filters above."""


class TracePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of traces, newest first."""

    items: tuple[TraceSummary, ...]
    next: tuple[int, int] | None = None
    """Pass as `after` to go on; None at the end."""


GroupBy = Literal[
    "model",
    "requested_model",
    "kind",
    "provider",
    "user",
    "key",
    "route",
    "environment",
    "prompt",
    "status",
    "service",
    "agent",
    "session",
    "tag",
    "day",
    "project",
]
METADATA = "metadata."
"""Beginning of what sums are grouped by where it is the metadata of a key, as in `metadata.customer`."""


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of one group. Grouped by kind it counts spans of every kind, otherwise model calls only.

    Latencies are accurate to 2 %; None beyond the 200 costliest groups and where only users are told apart.
    """

    group: str | None
    """The model, provider, … ("" when there is none), or the day as YYYY-MM-DD (UTC); None for all others together."""
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float
    unpriced: int
    """Calls whose price is not known: their cost is missing from `cost_usd`."""
    cache_hits: int
    """Calls that the gateway answered from its cache."""
    mean_latency_ms: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None


class SeriesFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls are summed; by default all of models. One condition is answered from roll-ups, more from spans."""

    kind: Kind | None = None
    model: str | None = None
    requested_model: str | None = None
    provider: str | None = None
    route: str | None = None
    key: str | None = None
    user: str | None = None
    environment: str | None = None
    prompt: str | None = None
    status: Status | None = None
    service: str | None = None
    agent: str | None = None
    session: str | None = None
    """Calls of traces that carry this session on any of their spans."""
    tag: str | None = None
    """Calls of traces that carry this tag on any of their spans."""
    metadata: dict[str, str] = {}
    """Calls of traces that carry this metadata on any of their spans."""


class SeriesPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of a time series; latencies are accurate to 2 %, None without calls."""

    time: datetime
    group: str | None = None
    """The model, provider, … when the series is split; None for everything, or everything else."""
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float
    unpriced: int
    cache_hits: int
    mean_latency_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None


class TraceScore(msgspec.Struct, frozen=True, kw_only=True):
    """What an upper slice knows of a trace's quality, for queries such as `score.faithfulness<0.5`."""

    trace_id: str
    ref: str
    """The upper slice's own id of it: storing it again replaces it."""
    origin: str
    """The upper slice: `feedback`, `evals`, …"""
    name: str
    value: float | None = None
    """None for what is no number, such as a comment."""


class HistogramBar(msgspec.Struct, frozen=True, kw_only=True):
    """How many traces started in a stretch of time."""

    at: datetime
    """Start of the stretch."""
    traces: int
    errors: int
    """Those of them in which a span failed."""


class PromptScore(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of score says of the traces that a version of a prompt was used in."""

    prompt: str
    """`name@version`."""
    origin: str
    name: str
    count: int
    """Scores with a number."""
    mean: float


class FacetCount(msgspec.Struct, frozen=True, kw_only=True):
    """A value (or the name of a field) and how many traces have it, counted up to 1,000."""

    value: str
    traces: int


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A saved query."""

    name: str
    query: str
    columns: tuple[str, ...]
    """What a list shows, in order; empty: the usual."""
    shared: bool
    """Whether everybody in the project sees it."""
    owner: str
    changed_at: datetime
