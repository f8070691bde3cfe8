"""HTTP of feedback, under /api/v1/feedback."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.feedback import service
from penstock.feedback.model import DatasetKind, Feedback, Kind

router = APIRouter(prefix="/feedback", tags=["feedback"])


class NewFeedback(BaseModel):
    """A judgement about an answer."""

    model_config = ConfigDict(extra="forbid")

    trace_id: str = Field(default="", description="x-penstock-trace-id of the answer")
    span_id: str | None = None
    request_id: str = Field(default="", description="x-request-id of the answer, instead of trace_id")
    name: str = Field(description="thumb, rating, comment, correction, preference, or a score's own name")
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


def _model(item: Feedback) -> FeedbackModel:
    return FeedbackModel.model_validate(msgspec.to_builtins(item))


@router.get("")
def list_feedback(
    uow: ReadUow,
    actor: CurrentActor,
    trace_id: str | None = None,
    name: str | None = None,
    route: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[FeedbackModel]:
    """List feedback, newest first."""
    found = service.list_feedback(
        uow, actor, trace_id=trace_id, name=name, route=route, before=cursor, limit=limit + 1
    )
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_model(item) for item in found[:limit]], next=following)


@router.post("", status_code=201)
def give_feedback(uow: WriteUow, actor: CurrentActor, new: NewFeedback) -> FeedbackModel:
    """Record a judgement."""
    return _model(service.give(uow, actor, **new.model_dump()))


@router.post("/datasets", status_code=201)
def build_dataset(home: HomeDep, actor: CurrentActor, new: NewDataset) -> BuiltDataset:
    """Make a dataset version from feedback."""
    version = service.build_dataset(home, actor, **new.model_dump())
    return BuiltDataset(
        id=version.id, dataset=version.dataset, number=version.number, hash=version.hash, rows=version.rows
    )
