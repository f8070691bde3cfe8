"""HTTP of tracking; here of runs, under /api/v1/runs."""

import math
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow, decode_cursor, encode_cursor
from penstock.tracking import experiments_api, files_api, service
from penstock.tracking.experiments_api import Filter, Limit, OrderBy, Shown, offset_of
from penstock.tracking.model import (
    NOTE_TAG,
    OWN_DATA,
    DatasetInput,
    Metric,
    Run,
    RunStatus,
    State,
)

router = APIRouter(tags=["experiments"])
router.include_router(experiments_api.router)
router.include_router(files_api.router)

MAX_COMPARED = 50
MOST_DRAWN = 200_000
"""Values of all the histories of one answer: of very many histories there are fewer of each."""


class MetricModel(BaseModel):
    """One measured value; `value` is null when it is not a finite number, `text` says which."""

    key: str
    value: float | None
    text: str | None = Field(default=None, description="NaN, Infinity or -Infinity")
    step: int
    at_ms: int


class DatasetModel(BaseModel):
    """A dataset that a run read."""

    name: str
    digest: str
    source_type: str
    source: str
    version: str = Field(description="The dataset version here, as name@number; empty for other data")
    tags: dict[str, str]


class ModelUseModel(BaseModel):
    """A logged model that a run read (`input`) or wrote (`output`)."""

    model_id: str
    role: str
    step: int


class RunModel(BaseModel):
    """One execution, with the last value of each metric."""

    id: str
    experiment_id: str
    name: str
    status: RunStatus
    user: str
    state: State
    started_at: datetime
    ended_at: datetime | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, MetricModel]
    datasets: list[DatasetModel]
    models: list[ModelUseModel]
    note: str = Field(description="What people wrote about it, in Markdown: the tag `mlflow.note.content`")


class NewRun(BaseModel):
    """A run to start."""

    model_config = ConfigDict(extra="forbid")

    experiment_id: str
    name: str = ""
    tags: dict[str, str] = Field(default_factory=dict)


class NewMetric(BaseModel):
    """A value to add."""

    model_config = ConfigDict(extra="forbid")

    key: str
    value: float
    step: int = 0
    at_ms: int = 0


class NewDataset(BaseModel):
    """A dataset that the run read: a version here (`version`), or any other by name and digest."""

    model_config = ConfigDict(extra="forbid")

    version: str = Field(default="", max_length=250, description="A dataset version here, as name@number")
    name: str = ""
    digest: str = ""
    source: str = ""
    context: str = Field(default="", max_length=250, description="What it was for, such as training")


class RunChange(BaseModel):
    """What to change of a run, or to add to it."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    status: RunStatus | None = None
    params: dict[str, str] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    untag: list[str] = Field(default_factory=list, description="Tags to take away")
    metrics: list[NewMetric] = Field(default_factory=list)
    note: str | None = Field(default=None, description="Markdown; an empty text takes the note away")
    datasets: list[NewDataset] = Field(default_factory=list, max_length=100)


class Series(BaseModel):
    """One metric of one run, by step."""

    run_id: str
    run: str
    key: str
    points: list[MetricModel]


def _metric(found: Metric) -> MetricModel:
    finite = math.isfinite(found.value)
    said = "NaN" if math.isnan(found.value) else "Infinity" if found.value > 0 else "-Infinity"
    return MetricModel(
        key=found.key,
        value=found.value if finite else None,
        text=None if finite else said,
        step=found.step,
        at_ms=found.at_ms,
    )


def _run(found: Run) -> RunModel:
    return RunModel(
        id=found.id,
        experiment_id=found.experiment_id,
        name=found.name,
        status=found.status,
        user=found.user,
        state=found.state,
        started_at=found.started_at,
        ended_at=found.ended_at,
        params=found.params,
        tags=found.tags,
        metrics={key: _metric(metric) for key, metric in found.metrics.items()},
        datasets=[DatasetModel.model_validate(one, from_attributes=True) for one in found.inputs],
        models=[ModelUseModel.model_validate(one, from_attributes=True) for one in found.models],
        note=found.tags.get(NOTE_TAG, ""),
    )


def _input(given: NewDataset) -> DatasetInput:
    tags = {"mlflow.data.context": given.context} if given.context else {}
    if not given.version:
        return DatasetInput(name=given.name, digest=given.digest, source=given.source, tags=tags)
    name, _, number = given.version.rpartition("@")
    if not name or not number.isdecimal():
        raise Invalid(f"{given.version!r} is not a dataset version.", hint="Write name@number.")
    return DatasetInput(
        name=given.name or name, digest=number, source_type=OWN_DATA, source=given.version, tags=tags
    )


@router.get("/runs")
def list_runs(
    uow: ReadUow,
    actor: CurrentActor,
    experiment: Annotated[list[str], Query(description="Ids; none: all experiments")] = [],  # noqa: B006 - FastAPI copies
    filter: Filter = "",
    order_by: OrderBy = [],  # noqa: B006 - FastAPI copies defaults
    state: Shown = State.ACTIVE,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[RunModel]:
    """Search runs, newest first unless ordered otherwise."""
    found = service.search_runs(
        uow,
        actor,
        experiment_ids=experiment or None,
        filter=filter,
        order_by=order_by,
        state=state,
        offset=offset_of(cursor),
        limit=limit,
    )
    following = None if found.next is None else encode_cursor(found.next)
    return Page(items=[_run(one) for one in found.items], next=following)


@router.post("/runs", status_code=201)
def create_run(uow: WriteUow, actor: CurrentActor, new: NewRun) -> RunModel:
    """Start a run."""
    return _run(service.create_run(uow, actor, experiment_id=new.experiment_id, name=new.name, tags=new.tags))


@router.get("/runs/compare")
def compare_runs(
    uow: ReadUow,
    actor: CurrentActor,
    run: Annotated[list[str], Query(min_length=1, max_length=MAX_COMPARED)],
    key: Annotated[
        list[str], Query(max_length=MAX_COMPARED, description="Metrics; none: all they have")
    ] = [],  # noqa: B006 - FastAPI copies
    points: Annotated[
        int,
        Query(ge=1, le=10_000, description="Of more values of one metric, evenly chosen ones and the last"),
    ] = 1000,
) -> list[Series]:
    """Return the histories of metrics of several runs, for drawing them together."""
    nouns = [service.find_run(uow, actor, id=run_id) for run_id in run]
    wanted = [
        (noun, name) for noun in nouns for name in (key or sorted(noun.metrics)) if name in noun.metrics
    ]
    most = min(points, max(2, MOST_DRAWN // max(1, len(wanted))))
    found = []
    for noun, name in wanted:
        values = service.metric_outline(uow, actor, run_id=noun.id, key=name, most=most)
        found.append(Series(run_id=noun.id, run=noun.name, key=name, points=[_metric(v) for v in values]))
    return found


@router.get("/runs/{id}")
def get_run(uow: ReadUow, actor: CurrentActor, id: str) -> RunModel:
    """Return a run."""
    return _run(service.find_run(uow, actor, id=id))


@router.patch("/runs/{id}")
def change_run(uow: WriteUow, actor: CurrentActor, id: str, change: RunChange) -> RunModel:
    """Rename a run, move its status, write its note, or add parameters, tags, metrics and datasets."""
    metrics = [Metric(**metric.model_dump()) for metric in change.metrics]
    service.log(uow, actor, run_id=id, metrics=metrics, params=change.params, tags=change.tags)
    for key in change.untag:
        service.untag_run(uow, actor, run_id=id, key=key)
    if change.note is not None:
        service.set_note(uow, actor, run_id=id, text=change.note)
    if change.datasets:
        service.log_inputs(uow, actor, run_id=id, datasets=[_input(one) for one in change.datasets])
    return _run(service.change_run(uow, actor, id=id, name=change.name, status=change.status))


@router.post("/runs/{id}/heartbeat", status_code=204)
def beat(uow: WriteUow, actor: CurrentActor, id: str) -> None:
    """Say that a run's program is there; one that said so once and then is silent for long is failed."""
    service.heartbeat(uow, actor, id=id)


@router.delete("/runs/{id}")
def delete_run(uow: WriteUow, actor: CurrentActor, id: str) -> RunModel:
    """Delete a run; it can be restored."""
    return _run(service.set_run_state(uow, actor, id=id, state=State.DELETED))


@router.post("/runs/{id}/restore")
def restore_run(uow: WriteUow, actor: CurrentActor, id: str) -> RunModel:
    """Bring a deleted run back."""
    return _run(service.set_run_state(uow, actor, id=id, state=State.ACTIVE))


@router.get("/runs/{id}/metrics/{key:path}")
def metric_history(
    uow: ReadUow,
    actor: CurrentActor,
    id: str,
    key: str,
    cursor: str | None = None,
    limit: Limit = 1000,
) -> Page[MetricModel]:
    """Return a metric's values by step, then time."""
    after = decode_cursor(cursor, 4) if cursor else None
    place = None if after is None else (int(after[0]), int(after[1]), float(after[2]), bool(after[3]))
    found = service.metric_history(uow, actor, run_id=id, key=key, after=place, limit=limit + 1)
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        nan = math.isnan(last.value)
        following = encode_cursor(last.step, last.at_ms, str(0.0 if nan else last.value), nan)
    return Page(items=[_metric(one) for one in found[:limit]], next=following)
