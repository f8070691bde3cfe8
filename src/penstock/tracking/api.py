"""HTTP of tracking, under /api/v1/experiments and /api/v1/runs."""

import math
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow, decode_cursor, encode_cursor
from penstock.tracking import service
from penstock.tracking.model import Artifact, Experiment, Metric, Run, RunStatus, State

router = APIRouter(tags=["experiments"])

MAX_COMPARED = 50


class ExperimentModel(BaseModel):
    """A named group of runs."""

    id: str
    name: str
    state: State
    created_at: datetime
    updated_at: datetime
    tags: dict[str, str]


class NewExperiment(BaseModel):
    """An experiment to make."""

    model_config = ConfigDict(extra="forbid")

    name: str
    tags: dict[str, str] = Field(default_factory=dict)


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
    tags: dict[str, str]


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


class RunChange(BaseModel):
    """What to change of a run, or to add to it."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    status: RunStatus | None = None
    params: dict[str, str] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    metrics: list[NewMetric] = Field(default_factory=list)


class Series(BaseModel):
    """One metric of one run, by step."""

    run_id: str
    run: str
    key: str
    points: list[MetricModel]


class ArtifactModel(BaseModel):
    """A file or folder."""

    path: str
    is_dir: bool
    size: int
    sha256: str


def _experiment(found: Experiment) -> ExperimentModel:
    return ExperimentModel.model_validate(found, from_attributes=True)


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
    )


def _offset(cursor: str | None) -> int:
    offset = decode_cursor(cursor, 1)[0] if cursor else 0
    if not isinstance(offset, int) or offset < 0:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return offset


Filter = Annotated[str, Query(description="MLflow's filter language: metrics.loss < 0.1 AND tags.team = 'a'")]
OrderBy = Annotated[list[str], Query(description="For example metrics.loss ASC; may be given several times")]
Shown = Annotated[State, Query(description="active, or deleted ones")]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/experiments")
def list_experiments(
    uow: ReadUow,
    actor: CurrentActor,
    filter: Filter = "",
    order_by: OrderBy = [],  # noqa: B006 - FastAPI copies defaults
    state: Shown = State.ACTIVE,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[ExperimentModel]:
    """List experiments, newest first."""
    found = service.search_experiments(
        uow, actor, filter=filter, order_by=order_by, state=state, offset=_offset(cursor), limit=limit
    )
    following = None if found.next is None else encode_cursor(found.next)
    return Page(items=[_experiment(one) for one in found.items], next=following)


@router.post("/experiments", status_code=201)
def create_experiment(uow: WriteUow, actor: CurrentActor, new: NewExperiment) -> ExperimentModel:
    """Make an experiment."""
    return _experiment(service.create_experiment(uow, actor, name=new.name, tags=new.tags))


@router.get("/experiments/{id}")
def get_experiment(uow: ReadUow, actor: CurrentActor, id: str) -> ExperimentModel:
    """Return an experiment."""
    return _experiment(service.find_experiment(uow, actor, id=id))


@router.delete("/experiments/{id}")
def delete_experiment(uow: WriteUow, actor: CurrentActor, id: str) -> ExperimentModel:
    """Delete an experiment with its runs; it can be restored."""
    return _experiment(service.set_experiment_state(uow, actor, id=id, state=State.DELETED))


@router.post("/experiments/{id}/restore")
def restore_experiment(uow: WriteUow, actor: CurrentActor, id: str) -> ExperimentModel:
    """Bring a deleted experiment back."""
    return _experiment(service.set_experiment_state(uow, actor, id=id, state=State.ACTIVE))


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
        offset=_offset(cursor),
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
    found = []
    for run_id in run:
        noun = service.find_run(uow, actor, id=run_id)
        for name in key or sorted(noun.metrics):
            if name in noun.metrics:
                values = service.metric_outline(uow, actor, run_id=run_id, key=name, most=points)
                found.append(
                    Series(run_id=run_id, run=noun.name, key=name, points=[_metric(v) for v in values])
                )
    return found


@router.get("/runs/{id}")
def get_run(uow: ReadUow, actor: CurrentActor, id: str) -> RunModel:
    """Return a run."""
    return _run(service.find_run(uow, actor, id=id))


@router.patch("/runs/{id}")
def change_run(uow: WriteUow, actor: CurrentActor, id: str, change: RunChange) -> RunModel:
    """Rename a run, move its status, or add parameters, tags and metrics."""
    metrics = [Metric(**metric.model_dump()) for metric in change.metrics]
    service.log(uow, actor, run_id=id, metrics=metrics, params=change.params, tags=change.tags)
    return _run(service.change_run(uow, actor, id=id, name=change.name, status=change.status))


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


@router.get("/runs/{id}/artifacts")
def list_artifacts(uow: ReadUow, actor: CurrentActor, id: str, path: str = "") -> list[ArtifactModel]:
    """List the files and folders right below `path`."""
    run = service.find_run(uow, actor, id=id)
    return [_artifact(one) for one in service.list_artifacts(uow, actor, root=run.id, path=path)]


def _artifact(found: Artifact) -> ArtifactModel:
    return ArtifactModel(path=found.path, is_dir=found.is_dir, size=found.size, sha256=found.sha256)
