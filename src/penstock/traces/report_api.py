"""HTTP of reports, under /api/v1: usage and time series."""

from datetime import datetime, timedelta
from typing import Annotated, get_args

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from penstock.core import clock
from penstock.core.http import CurrentActor, Page, PatientRead
from penstock.traces import reports
from penstock.traces.model import GroupBy, Kind, SeriesFilters, Status
from penstock.traces.shapes import pair

router = APIRouter()
Group = Annotated[
    str,
    Query(
        description=f"{', '.join(get_args(GroupBy))}, or `metadata.KEY`",
        pattern=rf"^({'|'.join(get_args(GroupBy))}|metadata[.:].+)$",
        max_length=300,
    ),
]


class SumsModel(BaseModel):
    """What is summed everywhere; latencies are accurate to 2 %, null where they are not known."""

    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    """Input tokens that the provider read from its prompt cache."""
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float
    unpriced: int
    """Calls whose price is not known: their cost is missing."""
    cache_hits: int
    """Calls that the gateway answered from its cache."""
    mean_latency_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None


class UsageModel(SumsModel):
    """Sums of one group."""

    group: str | None
    """Null for all other groups together."""


class PointModel(SumsModel):
    """One bucket of a time series."""

    time: datetime
    """Start of the bucket."""
    group: str | None
    """With `by`: which group; null for all others together."""


class ReportQuery(BaseModel):
    """Which calls are counted."""

    model_config = ConfigDict(extra="forbid")

    since: datetime | None = None
    until: datetime | None = None
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
    tag: str | None = None
    metadata: Annotated[list[str], Query(description="`name=value`, may be repeated")] = []
    project: str | None = None

    def filters(self) -> SeriesFilters:
        """Return the conditions as the verbs take them; raises Invalid for metadata that is not name=value."""
        given = self.model_dump(include=set(SeriesFilters.__struct_fields__))
        return SeriesFilters(**given | {"metadata": dict(pair(item) for item in self.metadata)})

    def range(self) -> tuple[datetime | None, datetime | None]:
        """Return since and until, in UTC unless they said otherwise."""
        return _aware(self.since), _aware(self.until)


class UsageQuery(ReportQuery):
    """What to sum, and by what."""

    group_by: Group = "model"
    top: Annotated[
        int | None,
        Query(
            ge=1,
            le=reports.MAX_TOP,
            description="Groups told apart; default: all, by session and metadata 100",
        ),
    ] = None


class SeriesQuery(ReportQuery):
    """What to draw."""

    bucket: Annotated[int | None, Query(ge=1, description="Seconds per point; default: fitting")] = None
    by: Group | None = None
    top: Annotated[int, Query(ge=1, le=reports.MAX_GROUPS, description="Groups told apart, with `by`")] = 10


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else clock.parse_iso(moment.isoformat())


@router.get("/usage")
async def usage(
    read: PatientRead, actor: CurrentActor, query: Annotated[UsageQuery, Query()]
) -> Page[UsageModel]:
    """Sum calls, tokens and cost per group, exactly. By kind every span counts, otherwise calls of models."""
    since, until = query.range()
    rows = await read(
        lambda uow, stop: reports.usage(
            uow,
            actor,
            group_by=query.group_by,
            since=since,
            until=until,
            filters=query.filters(),
            top=query.top,
            stop=stop,
        )
    )
    return Page(items=[UsageModel(**msgspec.structs.asdict(row)) for row in rows])


@router.get("/timeseries")
async def timeseries(
    read: PatientRead, actor: CurrentActor, query: Annotated[SeriesQuery, Query()]
) -> Page[PointModel]:
    """Calls, errors, tokens, cost and latency over time; the last 24 hours when no range is given."""
    since, until = query.range()
    end = until or clock.now()
    points = await read(
        lambda uow, stop: reports.timeseries(
            uow,
            actor,
            since=since or end - timedelta(hours=24),
            until=end,
            bucket=None if query.bucket is None else timedelta(seconds=query.bucket),
            filters=query.filters(),
            by=query.by,
            top=query.top,
            stop=stop,
        )
    )
    return Page(items=[PointModel(**msgspec.structs.asdict(point)) for point in points])
