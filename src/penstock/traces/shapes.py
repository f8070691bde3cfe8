"""What traces look like over HTTP."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.traces import query as language
from penstock.traces.model import Kind, Status, TraceFilters, TraceSummary


class SummaryModel(BaseModel):
    """What is known of a trace; sums are over its model calls."""

    trace_id: str
    name: str
    started_at: datetime
    start_ns: int
    end_ns: int
    duration_ms: float
    status: Status
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    model: str | None
    user: str | None
    session: str | None
    route: str | None
    key_id: str | None
    environment: str | None
    input_preview: str | None
    output_preview: str | None


class SnippetModel(BaseModel):
    """Where a search found its words."""

    span_id: str
    field: Literal["name", "error", "input", "output"]
    text: str
    marks: list[tuple[int, int]]
    """[start, end) of each word found, in characters of the text."""


class TraceModel(SummaryModel):
    """One trace in a list."""

    spans: int
    """How many spans it has."""
    snippet: SnippetModel | None = None
    """Of traces found by words."""
    partial: bool
    """Sampling let go of spans of it that came earlier."""


class SpanModel(BaseModel):
    """One span without its body."""

    span_id: str
    parent_id: str | None
    name: str
    kind: Kind
    status: Status
    error: str | None
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
    input_preview: str | None = None
    output_preview: str | None = None
    response_id: str | None = None
    """What the provider calls its answer."""
    duplicate_of: str | None = None
    """`trace_id/span_id` of the span that counts in place of this one, which reports the same call."""


class TraceTree(SummaryModel):
    """A trace with its spans by start time."""

    spans: list[SpanModel]
    partial: bool
    """Sampling let go of spans of it that came earlier."""
    next: str | None
    """Cursor to the spans that follow; null when these are all."""


class EventModel(BaseModel):
    """Something that happened during a span."""

    name: str
    at_ns: int
    attributes: dict[str, Any]


class EvaluationModel(BaseModel):
    """A verdict that came with the span."""

    name: str
    score: float | None
    label: str | None
    explanation: str | None
    source: str | None
    about: Literal["span", "trace", "session"]


class SpanDetail(SpanModel):
    """One span in full; input and output are JSON as they were recorded."""

    trace_id: str
    input: Any = None
    output: Any = None
    attributes: dict[str, Any]
    events: list[EventModel]
    tags: list[str]
    metadata: dict[str, str]
    finish_reasons: list[str]
    parameters: dict[str, Any]
    agent: str | None
    tool: str | None
    tools: list[Any]
    """Definitions of the tools that the model could call."""
    evaluations: list[EvaluationModel]
    finer_tokens: dict[str, int]
    """Tokens of classes with prices of their own, such as `audio_input`."""
    never_searched: list[str] = []
    """Parts that no search looks into, for they are too long or too deep: such as `input` beyond 20,000 characters."""
    messages_in: list[dict[str, Any]] | None = None
    """What a model was asked, as `{role, parts}` of the OpenTelemetry GenAI conventions, whatever the sender's form."""
    messages_out: list[dict[str, Any]] | None = None


class TraceQuery(BaseModel):
    """Conditions on traces: each must be met by some span of the trace."""

    model_config = ConfigDict(extra="forbid")

    query: str | None = Field(default=None, description="A query, as in docs/trace-queries.md")
    since: datetime | None = None
    until: datetime | None = None
    kind: Kind | None = None
    model: str | None = None
    provider: str | None = None
    status: Literal["ok", "error"] | None = None
    user: str | None = None
    session: str | None = None
    key: str | None = None
    route: str | None = None
    environment: str | None = None
    prompt: str | None = None
    tag: list[str] = []
    metadata: list[str] = Field(default=[], description="`name=value`, may be repeated")
    q: str | None = Field(default=None, description="Words in name, error, input or output of one span")
    min_latency_ms: float | None = Field(default=None, ge=0)
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=1000)
    project: str | None = Field(default=None, description="Project to work in; default: the key's own")

    def filters(self) -> TraceFilters:
        """Return the conditions as the service takes them.

        Raises Invalid for metadata that is not name=value and for a query that cannot be read.
        """
        found = TraceFilters(
            since=aware(self.since),
            until=aware(self.until),
            kind=self.kind,
            model=self.model,
            provider=self.provider,
            status=self.status,
            user=self.user,
            session=self.session,
            key=self.key,
            route=self.route,
            environment=self.environment,
            prompt=self.prompt,
            tags=tuple(self.tag),
            metadata=dict(pair(item) for item in self.metadata),
            min_latency_ms=self.min_latency_ms,
            q=self.q,
            query=self.query,
        )
        language.of_filters(found)
        return found


def aware(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC, which it is in unless it says otherwise."""
    return None if moment is None else clock.parse_iso(moment.isoformat())


def pair(text: str) -> tuple[str, str]:
    """Return the two sides of `name=value`; raises Invalid for anything else."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f"{text!r} is not name=value.")
    return name, value


def trace_fields(found: TraceSummary) -> dict[str, Any]:
    """Return the fields of SummaryModel and TraceModel."""
    fields: dict[str, Any] = msgspec.structs.asdict(found)
    fields["duration_ms"] = fields.pop("duration_ns") / 1e6
    fields["started_at"] = clock.from_ns(found.start_ns)
    fields["snippet"] = None if found.snippet is None else msgspec.structs.asdict(found.snippet)
    return fields
