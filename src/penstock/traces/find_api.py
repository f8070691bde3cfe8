"""HTTP around finding traces: histogram, facets, saved views."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import clock
from penstock.core.http import CurrentActor, Page, PatientRead, ReadUow, WriteUow
from penstock.traces import service, view_service
from penstock.traces.model import TraceFilters, View

router = APIRouter()

QueryText = Annotated[str | None, Query(description="A query, as in docs/trace-queries.md")]


class BarModel(BaseModel):
    """Traces that began in a stretch of time."""

    at: datetime
    traces: int
    errors: int


class FacetModel(BaseModel):
    """A value, or the name of a field."""

    value: str
    traces: int
    """How many traces have it, counted up to 1,000."""


class ViewBody(BaseModel):
    """What a view holds."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(default="", max_length=4000)
    columns: list[str] = Field(default=[], max_length=50)
    shared: bool = False


class ViewModel(BaseModel):
    """A saved query."""

    name: str
    query: str
    columns: list[str]
    shared: bool
    owner: str
    changed_at: datetime


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else clock.parse_iso(moment.isoformat())


@router.get("/traces/histogram")
async def histogram(
    read: PatientRead,
    actor: CurrentActor,
    query: QueryText = None,
    since: Annotated[
        datetime | None, Query(description="Start; default: the query's, or the oldest trace")
    ] = None,
    until: Annotated[
        datetime | None, Query(description="End; default: the query's, or the newest trace")
    ] = None,
    buckets: Annotated[int, Query(ge=1, le=500)] = 60,
) -> Page[BarModel]:
    """Count matching traces, and those with errors, in equal stretches of time."""
    filters = TraceFilters(query=query, since=_aware(since), until=_aware(until))
    bars = await read(
        lambda uow, stop: service.histogram(uow, actor, filters=filters, buckets=buckets, stop=stop)
    )
    return Page(items=[BarModel(**msgspec.structs.asdict(bar)) for bar in bars])


@router.get("/traces/facets")
async def facets(
    read: PatientRead,
    actor: CurrentActor,
    key: Annotated[
        str, Query(description="A field, such as `model` or `metadata.customer`; empty: which there are")
    ] = "",
    prefix: str = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[FacetModel]:
    """List values of a field, the most frequent first, or the fields themselves: for completion."""
    found = await read(
        lambda uow, stop: service.facets(uow, actor, key=key, prefix=prefix, limit=limit, stop=stop)
    )
    return Page(items=[FacetModel(value=item.value, traces=item.traces) for item in found])


def _shown(view: View) -> ViewModel:
    return ViewModel(**msgspec.structs.asdict(view))


@router.get("/views")
def list_views(uow: ReadUow, actor: CurrentActor) -> Page[ViewModel]:
    """List one's own saved views and those shared in the project."""
    return Page(items=[_shown(view) for view in view_service.list_views(uow, actor)])


@router.get("/views/{name}")
def get_view(uow: ReadUow, actor: CurrentActor, name: Annotated[str, Path()]) -> ViewModel:
    """Show a view: one's own, else a shared one."""
    return _shown(view_service.get_view(uow, actor, name=name))


@router.put("/views/{name}")
def put_view(uow: WriteUow, actor: CurrentActor, name: Annotated[str, Path()], body: ViewBody) -> ViewModel:
    """Save a view of one's own."""
    made = view_service.put_view(
        uow, actor, name=name, query=body.query, columns=body.columns, shared=body.shared
    )
    return _shown(made)


@router.delete("/views/{name}", status_code=204)
def delete_view(uow: WriteUow, actor: CurrentActor, name: Annotated[str, Path()]) -> None:
    """Delete one's own view, or as an administrator a shared one."""
    view_service.delete_view(uow, actor, name=name)
