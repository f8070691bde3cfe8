"""HTTP of feedback, under /api/v1: judgements and the datasets made of them; score configs, tokens."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import clock
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.feedback import collecting, score_config_api, service, token_api
from penstock.feedback.collecting import Each
from penstock.feedback.model import DatasetKind, Feedback, Kind
from penstock.feedback.queues import api as queue_api
from penstock.traces.model import Kind as TraceKind
from penstock.traces.model import TraceFilters

router = APIRouter(tags=["feedback"])
router.include_router(score_config_api.router)
router.include_router(token_api.router)
router.include_router(queue_api.router)
MOST_TRACES = 20_000
"""Traces that one request may put into a dataset; the command line takes any number."""


class NewFeedback(BaseModel):
    """A judgement about an answer."""

    model_config = ConfigDict(extra="forbid")

    trace_id: str = Field(default="", description="x-penstock-trace-id of the answer")
    span_id: str | None = None
    request_id: str = Field(default="", description="x-request-id of the answer, instead of trace_id")
    response_id: str = Field(default="", description="`id` of a stored answer, instead of trace_id")
    session: str = Field(default="", max_length=200, description="A whole session, instead of an answer")
    name: str = Field(
        description="thumb, rating, comment, correction, demonstration, preference, or a score's own name"
    )
    value: Any
    comment: str = ""
    source: str = "user"
    subject: str = Field(default="", description="The person the answer was for")
    key: str | None = Field(default=None, max_length=200, description="Idempotency key")


class FeedbackModel(BaseModel):
    """One judgement."""

    id: str
    trace_id: str
    span_id: str | None
    session: str
    name: str
    kind: Kind
    number: float | None
    text: str | None
    chosen: str | None
    rejected: str | None
    comment: str
    source: str
    subject: str
    route: str
    actor: str
    created_at: datetime


class NewDataset(BaseModel):
    """A dataset version to make from feedback."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: DatasetKind = DatasetKind.PREFERENCE
    route: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    splits: dict[str, float] | None = None
    seed: int = 0


class BuiltDataset(BaseModel):
    """The version that was made."""

    id: str
    dataset: str
    number: int
    hash: str
    rows: int


class TraceConditions(BaseModel):
    """Which traces to take; as the parameters of `GET /traces`."""

    model_config = ConfigDict(extra="forbid")

    query: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    kind: TraceKind | None = None
    model: str | None = None
    provider: str | None = None
    status: Literal["ok", "error"] | None = None
    user: str | None = None
    session: str | None = None
    key: str | None = None
    route: str | None = None
    environment: str | None = None
    prompt: str | None = None
    tags: list[str] = []
    metadata: dict[str, str] = {}
    min_latency_ms: float | None = None
    q: str | None = None

    def filters(self) -> TraceFilters:
        """Return the conditions as traces take them; times are UTC unless they say otherwise."""
        given = self.model_dump()
        for name in ("since", "until"):
            if given[name] is not None:
                given[name] = clock.parse_iso(given[name].isoformat())
        return msgspec.convert(given, TraceFilters)


class TracesToDataset(BaseModel):
    """Traces to put into a dataset: these, or those that meet the conditions."""

    model_config = ConfigDict(extra="forbid")

    name: str
    trace_ids: list[str] | None = Field(default=None, max_length=MOST_TRACES)
    where: TraceConditions | None = None
    each: Each = Each.LAST
    """`last`: a row per trace, of its last model call; `all`: a row per model call."""
    limit: int = Field(default=1000, ge=1, le=MOST_TRACES)
    """Of the traces that meet `where`, the newest so many."""
    description: str = ""


class CollectedDataset(BuiltDataset):
    """The version that was made of traces."""

    added: int
    """Rows that the traces gave."""
    traces: int
    skipped: dict[str, int]
    """Reason → how many traces or calls were left out for it."""


def _model(item: Feedback) -> FeedbackModel:
    return FeedbackModel.model_validate(msgspec.to_builtins(item))


@router.get("/feedback")
def list_feedback(
    uow: ReadUow,
    actor: CurrentActor,
    trace_id: str | None = None,
    session: str | None = None,
    name: str | None = None,
    route: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[FeedbackModel]:
    """List feedback, newest first."""
    found = service.list_feedback(
        uow,
        actor,
        trace_id=trace_id,
        session=session,
        name=name,
        route=route,
        before=cursor,
        limit=limit + 1,
    )
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_model(item) for item in found[:limit]], next=following)


@router.post("/feedback", status_code=201)
def give_feedback(uow: WriteUow, actor: CurrentActor, new: NewFeedback) -> FeedbackModel:
    """Record a judgement."""
    return _model(service.give(uow, actor, **new.model_dump()))


@router.post("/feedback/datasets", status_code=201)
def build_dataset(home: HomeDep, actor: CurrentActor, new: NewDataset) -> BuiltDataset:
    """Make a dataset version from feedback."""
    version = service.build_dataset(home, actor, **new.model_dump())
    return BuiltDataset(
        id=version.id, dataset=version.dataset, number=version.number, hash=version.hash, rows=version.rows
    )


@router.post("/feedback/datasets/from-traces", status_code=201)
def collect_traces(home: HomeDep, actor: CurrentActor, wanted: TracesToDataset) -> CollectedDataset:
    """Add recorded calls to a dataset, each row linked to its trace."""
    where = wanted.where
    found = collecting.collect(
        home,
        actor,
        name=wanted.name,
        trace_ids=wanted.trace_ids,
        filters=None if where is None else where.filters(),
        each=wanted.each,
        limit=wanted.limit,
        description=wanted.description,
    )
    version = found.version
    return CollectedDataset(
        id=version.id,
        dataset=version.dataset,
        number=version.number,
        hash=version.hash,
        rows=version.rows,
        added=found.rows,
        traces=found.traces,
        skipped=dict(found.skipped),
    )
