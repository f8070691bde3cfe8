"""HTTP of training, under /api/v1/training."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.training import recipe as recipes
from penstock.training import service
from penstock.training.hosted.api import router as hosted_router
from penstock.training.model import MetricPoint, RunState, TrainingRun
from penstock.training.recipe import Recipe
from penstock.training.search.api import router as search_router
from penstock.training.share.api import router as share_router

router = APIRouter(prefix="/training", tags=["training"])


class NewTrainingRun(BaseModel):
    """A recipe to run in the background: a ready one by name, with changes, or all keys."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | dict[str, Any] | None = Field(
        default=None, description="Name of a ready recipe, or a whole recipe"
    )
    values: dict[str, Any] = Field(
        default_factory=dict, description="Recipe keys; they win over the ready recipe's"
    )
    key: str | None = Field(
        default=None, max_length=200, description="The same key again returns the same run"
    )


class TrainingRunModel(BaseModel):
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
    environment: dict[str, Any]
    inputs: list[dict[str, str]]
    weights_hash: str | None
    note: str
    wish: str | None = Field(description="pause or cancel, until the run has heard it")
    search: str | None
    parents: list[str] = Field(description="What it was made of: base model, dataset, replayed dataset")


class TrainingPointModel(BaseModel):
    """What was logged at one step; every figure stands beside `step`, and in `values`."""

    model_config = ConfigDict(extra="allow")

    step: int
    time: datetime
    values: dict[str, float]
    at: datetime
    loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_s: float | None = None
    memory_bytes: float | None = None
    cpu_percent: float | None = Field(default=None, description="100 is one core")
    gpu_percent: float | None = None
    gpu_memory_bytes: float | None = None
    power_w: float | None = None
    eta_s: float | None = None
    cost_usd: float | None = None


class TrainingArtifactModel(BaseModel):
    """A file that a run left."""

    path: str
    kind: str = Field(description="checkpoint or log")
    step: int | None
    size: int
    sha256: str = Field(description="Empty until the run ends or pauses and its files are stored")
    created_at: datetime


class TrainingNoteModel(BaseModel):
    """What people write about a run."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=20_000)


class TrainingComparisonModel(BaseModel):
    """Runs side by side; lists are in the order of `runs`."""

    runs: list["TrainingRunModel"]
    differ: dict[str, list[Any]] = Field(description="Recipe keys that are not the same in all runs")
    metrics: dict[str, list[float | None]]
    series: dict[str, list[TrainingPointModel]] = Field(description="Run → what was logged, by step")


class LogModel(BaseModel):
    """The end of the child's log."""

    text: str


router.include_router(search_router)
router.include_router(share_router)
router.include_router(hosted_router)

RunId = Annotated[str, Path(description="The run's id")]


def _run(run: TrainingRun) -> TrainingRunModel:
    parents = [given["ref"] for given in run.inputs] or [run.dataset, run.base]
    return TrainingRunModel.model_validate({**msgspec.to_builtins(run), "parents": parents})


def _point(point: MetricPoint) -> TrainingPointModel:
    own = {"step": point.step, "time": point.at, "values": point.values, "at": point.at}
    return TrainingPointModel.model_validate({**point.values, **own})


@router.get("/runs")
def list_runs(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str | None = None,
    state: RunState | None = None,
    search: Annotated[str | None, Query(description="Trials of this search")] = None,
    query: Annotated[str, Query(max_length=200, description="Part of a name, input, result or note")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[TrainingRunModel]:
    """List runs, newest first."""
    found = service.list_runs(
        uow, actor, before=cursor, limit=limit + 1, state=state, search=search, query=query
    )
    return Page(
        items=[_run(run) for run in found[:limit]], next=found[limit - 1].id if len(found) > limit else None
    )


@router.post("/runs", status_code=201)
def start_run(home: HomeDep, actor: CurrentActor, new: NewTrainingRun) -> TrainingRunModel:
    """Queue a run."""
    return _run(service.start(home, actor, asked_recipe(new.recipe, new.values), key=new.key))


def asked_recipe(recipe: str | dict[str, Any] | None, values: dict[str, Any]) -> Recipe:
    """Return the recipe of a request: a ready one by name, a whole one, or keys alone; raises Invalid, NotFound."""
    if isinstance(recipe, str):
        return recipes.load(recipe, **values)
    return recipes.parse(recipes.merge(recipe or {}, values))


@router.get("/runs/compare")
def compare_runs(
    uow: ReadUow, actor: CurrentActor, ids: Annotated[str, Query(description="Run ids, with commas between")]
) -> TrainingComparisonModel:
    """Return runs side by side: where their recipes differ, their figures, their curves."""
    found = service.compare(uow, actor, run_ids=[part.strip() for part in ids.split(",") if part.strip()])
    series = {run_id: [_point(point) for point in points] for run_id, points in found["series"].items()}
    return TrainingComparisonModel(
        runs=[_run(run) for run in found["runs"]],
        differ=found["differ"],
        metrics=found["metrics"],
        series=series,
    )


@router.get("/runs/{run_id}")
def get_run(uow: ReadUow, actor: CurrentActor, run_id: RunId) -> TrainingRunModel:
    """Return one run."""
    return _run(service.get(uow, actor, run_id=run_id))


@router.get("/runs/{run_id}/metrics")
def get_metrics(
    uow: ReadUow,
    actor: CurrentActor,
    run_id: RunId,
    points: Annotated[
        int,
        Query(
            ge=2, le=100_000, description="Of more, evenly chosen ones, the last, and evaluated checkpoints"
        ),
    ] = service.MOST_POINTS,
) -> Page[TrainingPointModel]:
    """Return what was logged, by step."""
    found = service.metrics(uow, actor, run_id=run_id, most=points)
    return Page(items=[_point(point) for point in found], next=None)


@router.get("/runs/{run_id}/log")
def get_log(
    uow: ReadUow,
    actor: CurrentActor,
    run_id: RunId,
    tail: Annotated[int, Query(ge=1, le=1_000_000, description="Bytes from its end")] = 8000,
) -> LogModel:
    """Return the end of the child process's log."""
    return LogModel(text=service.log_tail(uow, actor, run_id=run_id, limit=tail))


@router.get("/runs/{run_id}/artifacts")
def list_run_artifacts(uow: ReadUow, actor: CurrentActor, run_id: RunId) -> Page[TrainingArtifactModel]:
    """List the files that a run left so far: its log and the weights of its checkpoints."""
    found = service.list_artifacts(uow, actor, run_id=run_id)
    items = [TrainingArtifactModel.model_validate(msgspec.to_builtins(file)) for file in found]
    return Page(items=items, next=None)


@router.get("/runs/{run_id}/artifacts/content", response_class=StreamingResponse)
def get_run_artifact(
    uow: ReadUow, actor: CurrentActor, run_id: RunId, path: Annotated[str, Query(max_length=500)]
) -> StreamingResponse:
    """Download a stored file of a run."""
    content = service.read_artifact(uow, actor, run_id=run_id, path=path)
    return StreamingResponse(content, media_type="application/octet-stream")


@router.put("/runs/{run_id}/note")
def put_note(uow: WriteUow, actor: CurrentActor, run_id: RunId, note: TrainingNoteModel) -> TrainingRunModel:
    """Replace what people wrote about the run."""
    return _run(service.annotate(uow, actor, run_id=run_id, note=note.text))


@router.post("/runs/{run_id}/pause")
def pause_run(uow: WriteUow, actor: CurrentActor, run_id: RunId) -> TrainingRunModel:
    """Ask a run to stop at its next logged step, with a checkpoint."""
    return _run(service.pause(uow, actor, run_id=run_id))


@router.post("/runs/{run_id}/resume")
def resume_run(uow: WriteUow, actor: CurrentActor, run_id: RunId) -> TrainingRunModel:
    """Queue a paused, failed or cancelled run again; it goes on from its last checkpoint."""
    return _run(service.resume(uow, actor, run_id=run_id))


@router.post("/runs/{run_id}/cancel")
def cancel_run(uow: WriteUow, actor: CurrentActor, run_id: RunId) -> TrainingRunModel:
    """Ask a run to stop."""
    return _run(service.cancel(uow, actor, run_id=run_id))
