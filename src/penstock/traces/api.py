"""HTTP of traces, under /api/v1: traces, spans, usage, time series, export, and prices (price_api)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.http import (
    CurrentActor,
    HomeDep,
    Page,
    PatientRead,
    ReadUow,
    WriteUow,
    decode_cursor,
    encode_cursor,
)
from penstock.traces import find_api, log_api, messages, price_api, reprice_api, service
from penstock.traces.lines import as_line, as_object
from penstock.traces.model import Kind, SeriesFilters, Status, TraceFilters

router = APIRouter(tags=["traces"])
router.include_router(price_api.router)
router.include_router(log_api.router)
router.include_router(reprice_api.router)
router.include_router(find_api.router)

Since = Annotated[
    datetime | None, Query(description="Only what started at or after this time (ISO 8601, UTC)")
]
Until = Annotated[datetime | None, Query(description="Only what started before this time")]


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
    messages_in: list[dict[str, Any]] | None = None
    """What a model was asked, as `{role, parts}` of the OpenTelemetry GenAI conventions, whatever the sender's form."""
    messages_out: list[dict[str, Any]] | None = None


class UsageModel(BaseModel):
    """Sums of one group."""

    group: str
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float
    unpriced: int
    mean_latency_ms: float


class PointModel(BaseModel):
    """One bucket of a time series."""

    time: datetime
    """Start of the bucket."""
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None


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
        """Return the conditions as the service takes them; raises Invalid for metadata that is not name=value."""
        return TraceFilters(
            since=_aware(self.since),
            until=_aware(self.until),
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
            metadata=dict(_pair(item) for item in self.metadata),
            min_latency_ms=self.min_latency_ms,
            q=self.q,
            query=self.query,
        )


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else clock.parse_iso(moment.isoformat())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f"{text!r} is not name=value.")
    return name, value


def _trace(found: Any) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.structs.asdict(found)
    fields["duration_ms"] = fields.pop("duration_ns") / 1e6
    fields["started_at"] = clock.from_ns(found.start_ns)
    fields["snippet"] = None if found.snippet is None else msgspec.structs.asdict(found.snippet)
    return fields


@router.get("/traces")
async def list_traces(
    read: PatientRead, actor: CurrentActor, query: Annotated[TraceQuery, Query()]
) -> Page[TraceModel]:
    """List traces, newest first."""
    after = None if query.cursor is None else _cursor(query.cursor)
    filters = query.filters()
    page = await read(
        lambda uow, stop: service.list_traces(
            uow, actor, filters=filters, after=after, limit=query.limit, stop=stop
        )
    )
    following = None if page.next is None else encode_cursor(*page.next)
    return Page(items=[TraceModel(**_trace(item)) for item in page.items], next=following)


def _cursor(text: str) -> tuple[int, int]:
    at, number = decode_cursor(text, 2)
    if (
        not isinstance(at, int)
        or not isinstance(number, int)
        or not (-1 <= at < 1 << 62 and 0 <= number < 1 << 62)
    ):
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return at, number


@router.get("/traces/export", response_class=StreamingResponse)
def export(home: HomeDep, actor: CurrentActor, query: Annotated[TraceQuery, Query()]) -> StreamingResponse:
    """Download the spans of all matching traces as JSON lines (`cursor` and `limit` are not used)."""
    with home.read() as uow:
        uow.may(actor, "traces.read")
    found = service.export_spans(home, actor, filters=query.filters())

    def lines() -> Iterator[bytes]:
        for span in found:
            yield as_line(span)

    headers = {"content-disposition": 'attachment; filename="traces.jsonl"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


@router.get("/traces/{trace_id}")
def get_trace(uow: ReadUow, actor: CurrentActor, trace_id: Annotated[str, Path()]) -> TraceTree:
    """Show a trace with its spans."""
    found = service.get_trace(uow, actor, trace_id=trace_id)
    spans = [SpanModel(**msgspec.structs.asdict(span)) for span in found.spans]
    return TraceTree(**(_trace(found.summary) | {"spans": spans}))


@router.delete("/traces/{trace_id}", status_code=204)
def delete_trace(uow: WriteUow, actor: CurrentActor, trace_id: Annotated[str, Path()]) -> None:
    """Delete a trace; it leaves all sums too."""
    service.delete_trace(uow, actor, trace_id=trace_id)


@router.get("/traces/{trace_id}/spans/{span_id}")
def get_span(
    uow: ReadUow, actor: CurrentActor, trace_id: Annotated[str, Path()], span_id: Annotated[str, Path()]
) -> SpanDetail:
    """Show one span in full."""
    span = service.get_span_body(uow, actor, trace_id=trace_id, span_id=span_id)
    asked = said = None
    if span.kind in ("llm", "agent"):
        asked, said = messages.of_document(span.input, "user"), messages.of_document(span.output, "assistant")
    return SpanDetail(**as_object(span), messages_in=asked, messages_out=said)


@router.get("/usage")
def usage(
    uow: ReadUow,
    actor: CurrentActor,
    group_by: Literal["model", "kind", "provider", "user", "key", "route", "day"] = "model",
    since: Since = None,
    until: Until = None,
) -> Page[UsageModel]:
    """Sum calls, tokens and cost per group, exactly. By kind every span counts, otherwise calls of models."""
    rows = service.usage(uow, actor, group_by=group_by, since=_aware(since), until=_aware(until))
    return Page(items=[UsageModel(**msgspec.structs.asdict(row)) for row in rows])


@router.get("/timeseries")
def timeseries(
    uow: ReadUow,
    actor: CurrentActor,
    since: Since = None,
    until: Until = None,
    bucket: Annotated[int | None, Query(ge=1, description="Seconds per point; default: fitting")] = None,
    kind: Kind | None = None,
    model: str | None = None,
    provider: str | None = None,
    route: str | None = None,
    key: str | None = None,
) -> Page[PointModel]:
    """Calls, errors, tokens, cost and latency over time; the last 24 hours when no range is given."""
    end = _aware(until) or clock.now()
    points = service.timeseries(
        uow,
        actor,
        since=_aware(since) or end - timedelta(hours=24),
        until=end,
        bucket=None if bucket is None else timedelta(seconds=bucket),
        filters=SeriesFilters(kind=kind, model=model, provider=provider, route=route, key=key),
    )
    return Page(items=[PointModel(**msgspec.structs.asdict(point)) for point in points])
