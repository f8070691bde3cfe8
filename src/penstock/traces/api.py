"""HTTP of traces, under /api/v1: traces, spans, usage, time series, export, and prices (price_api)."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from fastapi.responses import Response, StreamingResponse

from penstock.core.errors import Invalid
from penstock.core.http import (
    CurrentActor,
    HomeDep,
    Page,
    PatientRead,
    ReadUow,
    decode_cursor,
    encode_cursor,
)
from penstock.traces import (
    find_api,
    keep_api,
    log_api,
    messages,
    people_api,
    price_api,
    report_api,
    reprice_api,
    service,
    trees,
    unindexed,
)
from penstock.traces.lines import as_object
from penstock.traces.shapes import SpanDetail, SpanModel, TraceModel, TraceQuery, TraceTree, trace_fields

router = APIRouter(tags=["traces"])
router.include_router(price_api.router)
router.include_router(keep_api.router)
router.include_router(log_api.router)
router.include_router(reprice_api.router)
router.include_router(find_api.router)
router.include_router(report_api.router)
router.include_router(people_api.router)


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
    return Page(items=[TraceModel(**trace_fields(item)) for item in page.items], next=following)


def _cursor(text: str) -> tuple[int, int]:
    at, number = decode_cursor(text, 2)
    if (
        not isinstance(at, int)
        or not isinstance(number, int)
        or not (-1 <= at < 1 << 62 and 0 <= number < 1 << 62)
    ):
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return at, number


class ExportQuery(TraceQuery):
    """Which traces to export, and how."""

    format: Literal["jsonl", "parquet", "otlp", "otlp-protobuf"] = "jsonl"


@router.get("/traces/export", response_class=StreamingResponse)
def export(home: HomeDep, actor: CurrentActor, query: Annotated[ExportQuery, Query()]) -> Response:
    """Download the spans of all matching traces (`cursor` and `limit` are not used)."""
    return keep_api.download(home, actor, query.filters(), query.format)


@router.get("/traces/{trace_id}")
def get_trace(
    uow: ReadUow,
    actor: CurrentActor,
    trace_id: Annotated[str, Path()],
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=trees.MAX_PAGE)] = 5000,
) -> TraceTree:
    """Show a trace with its spans, by start time and page by page."""
    after = None if cursor is None else _cursor(cursor)
    summary, found, following = trees.page_of_spans(uow, actor, trace_id=trace_id, after=after, limit=limit)
    spans = [SpanModel(**msgspec.structs.asdict(span)) for span in found]
    page = {"spans": spans, "next": None if following is None else encode_cursor(*following)}
    return TraceTree(**(trace_fields(summary) | page))


@router.delete("/traces/{trace_id}", status_code=204)
def delete_trace(home: HomeDep, actor: CurrentActor, trace_id: Annotated[str, Path()]) -> None:
    """Delete a trace; it leaves all sums too."""
    service.delete_trace(home, actor, trace_id=trace_id)


@router.get("/traces/{trace_id}/spans/{span_id}")
def get_span(
    uow: ReadUow, actor: CurrentActor, trace_id: Annotated[str, Path()], span_id: Annotated[str, Path()]
) -> SpanDetail:
    """Show one span in full."""
    span = service.get_span_body(uow, actor, trace_id=trace_id, span_id=span_id)
    asked = said = None
    if span.kind in ("llm", "agent"):
        asked, said = messages.of_document(span.input, "user"), messages.of_document(span.output, "assistant")
    skipped = unindexed.never_searched(span)
    return SpanDetail(**as_object(span), never_searched=skipped, messages_in=asked, messages_out=said)
