"""HTTP of training, under /api/v1/training."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.training import recipe as recipes
from penstock.training import service
from penstock.training.model import MetricPoint, RunState, TrainingRun

router = APIRouter(prefix="/training", tags=["training"])


class NewRun(BaseModel):
    """A recipe to run in the background: a ready one by name, with changes, or all keys."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | None = Field(default=None, description="Name of a ready recipe")
    values: dict[str, Any] = Field(
        default_factory=dict, description="Recipe keys; they win over the ready recipe's"
    )
    key: str | None = Field(
        default=None, max_length=200, description="The same key again returns the same run"
    )


class RunModel(BaseModel):
    """A training run."""

    id: str
    name: str
    method: str
    recipe: dict[str, Any]
    base: str
    dataset: str
    key: str | None
    state: RunState
    job_id: str | None
    progress: dict[str, Any]
    examples: list[dict[str, str]]
    metrics: dict[str, float]
    model: str | None
    error: str | None
    author: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class PointModel(BaseModel):
    """What was logged at one step."""

    step: int
    values: dict[str, float]
    at: datetime


class LogModel(BaseModel):
    """The end of the child's log."""

    text: str


class RecipeModel(BaseModel):
    """A recipe that comes with Penstock."""

    name: str
    yaml: str


RunId = Annotated[str, Path(description="The run's id")]


def _run(run: TrainingRun) -> RunModel:
    return RunModel.model_validate(msgspec.to_builtins(run))


def _point(point: MetricPoint) -> PointModel:
    return PointModel.model_validate(msgspec.to_builtins(point))


@router.get("/recipes")
def list_recipes(_actor: CurrentActor) -> Page[RecipeModel]:
    """List the recipes that come with Penstock."""
    found = [RecipeModel(name=name, yaml=recipes.source(name)) for name in recipes.ready()]
    return Page(items=found, next=None)


@router.get("/runs")
def list_runs(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[RunModel]:
    """List runs, newest first."""
    found = service.list_runs(uow, actor, before=cursor, limit=limit + 1)
    return Page(
        items=[_run(run) for run in found[:limit]], next=found[limit - 1].id if len(found) > limit else None
    )


@router.post("/runs", status_code=201)
def start_run(home: HomeDep, actor: CurrentActor, new: NewRun) -> RunModel:
    """Queue a run."""
    recipe = recipes.load(new.recipe, **new.values) if new.recipe else recipes.parse(new.values)
    return _run(service.start(home, actor, recipe, key=new.key))


@router.get("/runs/{run_id}")
def get_run(uow: ReadUow, actor: CurrentActor, run_id: RunId) -> RunModel:
    """Return one run."""
    return _run(service.get(uow, actor, run_id=run_id))


@router.get("/runs/{run_id}/metrics")
def get_metrics(uow: ReadUow, actor: CurrentActor, run_id: RunId) -> Page[PointModel]:
    """Return what was logged, by step."""
    return Page(items=[_point(point) for point in service.metrics(uow, actor, run_id=run_id)], next=None)


@router.get("/runs/{run_id}/log")
def get_log(uow: ReadUow, actor: CurrentActor, run_id: RunId) -> LogModel:
    """Return the end of the child process's log."""
    return LogModel(text=service.log_tail(uow, actor, run_id=run_id))


@router.post("/runs/{run_id}/cancel")
def cancel_run(uow: WriteUow, actor: CurrentActor, run_id: RunId) -> RunModel:
    """Ask a run to stop."""
    return _run(service.cancel(uow, actor, run_id=run_id))
