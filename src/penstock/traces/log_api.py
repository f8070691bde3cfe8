"""HTTP of logs and OpenTelemetry's metrics, under /api/v1."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, Page, ReadUow, decode_cursor, encode_cursor
from penstock.traces import log_service
from penstock.traces.log_model import LogFilters, LogRecord

router = APIRouter(tags=["traces"])


class LogModel(BaseModel):
    """One log record."""

    id: int
    at: datetime
    at_ns: int
    trace_id: str | None
    span_id: str | None
    severity: int
    event: str | None
    service: str | None
    body: Any
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: dict[str, Any]


class MetricNameModel(BaseModel):
    """A metric that was reported."""

    name: str
    unit: str
    kind: str
    series: int
    labels: list[str]


class MetricPointModel(BaseModel):
    """What one group reported in one hour."""

    time: datetime
    group: str
    count: int
    sum: float
    low: float | None
    high: float | None
    p50: float | None
    p95: float | None
    p99: float | None


def _log(record: LogRecord) -> LogModel:
    content = record.content
    return LogModel(
        id=record.id,
        at=clock.from_ns(record.at_ns),
        at_ns=record.at_ns,
        trace_id=record.trace_id,
        span_id=record.span_id,
        severity=record.severity,
        event=record.event,
        service=record.service,
        body=content.body,
        attributes=content.attributes,
        resource=content.resource,
        scope=content.scope,
    )


def _hex(value: str | None, digits: int, what: str) -> bytes | None:
    if value is None:
        return None
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        raw = b""
    if len(raw) * 2 != digits:
        raise Invalid(f"{value!r} is not a {what}.", hint=f"A {what} is {digits} hex digits.")
    return raw


def _after(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    at, number = decode_cursor(cursor, 2)
    if type(at) is not int or type(number) is not int:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return at, number


class LogQuery(BaseModel):
    """Which records to list."""

    model_config = ConfigDict(extra="forbid")

    since: datetime | None = Field(default=None, description="Only records from this time on")
    until: datetime | None = Field(default=None, description="Only records before this time")
    trace_id: str | None = Field(default=None, description="Only records of this trace")
    span_id: str | None = Field(default=None, description="Only records of this span")
    event: str | None = Field(default=None, description="Only events of this name")
    service: str | None = Field(default=None, description="Only records of this service.name")
    min_severity: int = Field(default=0, ge=0, le=24, description="9 info, 13 warning, 17 error")
    q: str | None = Field(default=None, max_length=200, description="Text in the first 1,000 characters")
    cursor: str | None = None
    limit: int = Field(default=100, ge=1, le=log_service.MAX_LOGS)
    project: str | None = Field(default=None, description="Another project than the key's own")


@router.get("/logs")
def list_logs(uow: ReadUow, actor: CurrentActor, query: Annotated[LogQuery, Query()]) -> Page[LogModel]:
    """Log records of the project, newest first; those of a trace are kept with it here too."""
    filters = LogFilters(
        since=query.since,
        until=query.until,
        trace_id=_hex(query.trace_id, 32, "trace id"),
        span_id=_hex(query.span_id, 16, "span id"),
        event=query.event,
        service=query.service,
        min_severity=query.min_severity,
        q=query.q,
    )
    found = log_service.list_logs(uow, actor, filters=filters, after=_after(query.cursor), limit=query.limit)
    following = None if found.next is None else encode_cursor(*found.next)
    return Page(items=[_log(record) for record in found.items], next=following)


@router.get("/metrics/otlp")
def list_metrics(uow: ReadUow, actor: CurrentActor) -> Page[MetricNameModel]:
    """The metrics that applications reported by OpenTelemetry."""
    found = log_service.metric_names(uow, actor)
    return Page(
        items=[MetricNameModel(**{k: getattr(one, k) for k in one.__struct_fields__}) for one in found],
        next=None,
    )


By = Literal[
    "", "agent", "environment", "error", "method", "model", "operation", "provider", "requested_model",
    "server", "service", "token_type", "tool",
]  # fmt: skip


@router.get("/metrics/otlp/{name}")
def read_metric(
    uow: ReadUow,
    actor: CurrentActor,
    name: Annotated[str, Path(max_length=200)],
    by: Annotated[By, Query(description="Label to group by; empty adds everything up")] = "",
    since: Annotated[datetime | None, Query(description="By default 24 hours before `until`")] = None,
    until: Annotated[datetime | None, Query(description="By default now")] = None,
) -> Page[MetricPointModel]:
    """A metric hour by hour, quantiles included."""
    found = log_service.metric_points(uow, actor, name=name, by=by, since=since, until=until)
    return Page(
        items=[MetricPointModel(**{k: getattr(one, k) for k in one.__struct_fields__}) for one in found],
        next=None,
    )
