"""HTTP of pipeline runs, under /api/v1/pipelines."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.pipelines import service
from penstock.pipelines.documents import parse
from penstock.pipelines.model import PipelineRun, RunState

router = APIRouter(prefix="/pipelines", tags=["pipelines"])


class StepModel(BaseModel):
    """A finished step."""

    name: str
    result: dict[str, Any]
    seconds: float
    started_at: datetime
    ended_at: datetime


class RunModel(BaseModel):
    """One run with its finished steps, in order."""

    id: str
    pipeline: str
    number: int
    inputs: dict[str, Any]
    state: RunState
    reason: str | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None
    steps: list[StepModel]


class PipelineModel(BaseModel):
    """A pipeline, as its newest run began."""

    name: str
    document: dict[str, Any] | None = Field(
        description="name, steps, parameters; null for one written in Python"
    )
    runs: int
    latest: RunModel


class NewPipelineRun(BaseModel):
    """A pipeline to run: its document, or the name of one that has run."""

    model_config = ConfigDict(extra="forbid")

    document: dict[str, Any] | None = Field(
        default=None, description="name, steps and parameters, as in the YAML file"
    )
    pipeline: str = Field(default="", description="In place of a document: that of its newest run")
    values: dict[str, Any] = Field(default={}, description="Parameters by name")
    fresh: bool = Field(default=False, description="Begin anew instead of going on with an unfinished run")


class PipelineStarted(BaseModel):
    """The run, and the job that carries it out; see /jobs/{id}."""

    run: RunModel
    job: str


def _run(run: PipelineRun) -> RunModel:
    return RunModel.model_validate(msgspec.to_builtins(run))


@router.get("")
def list_pipelines(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Page[PipelineModel]:
    """List pipelines by name, each with its newest run."""
    found = service.list_pipelines(uow, actor, after=cursor, limit=limit + 1)
    items = [
        PipelineModel(
            name=run.pipeline,
            document=run.inputs.get(service.DOCUMENT),
            runs=run.number,
            latest=_run(run),
        )
        for run in found[:limit]
    ]
    return Page(items=items, next=items[-1].name if len(found) > limit else None)


@router.get("/runs")
def list_runs(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    pipeline: str = "",
    state: RunState | None = None,
) -> Page[RunModel]:
    """List pipeline runs, newest first: of one pipeline or in one state, if you say so."""
    found = service.list_runs(uow, actor, before=cursor, limit=limit + 1, pipeline=pipeline, state=state)
    return Page(
        items=[_run(r) for r in found[:limit]], next=found[limit - 1].id if len(found) > limit else None
    )


@router.post("/runs", status_code=202)
def start_run(home: HomeDep, actor: CurrentActor, new: NewPipelineRun) -> PipelineStarted:
    """Run a pipeline in the background; an unfinished run of the same steps and values goes on."""
    if (new.document is None) == (not new.pipeline):
        raise Invalid("Give a document or the name of a pipeline.", hint="One of the two.")
    if new.document is not None:
        document = parse(new.document)
    else:
        with home.read() as uow:
            document = service.document(uow, actor, pipeline=new.pipeline)
    found, job = service.start(home, actor, document, values=new.values, fresh=new.fresh)
    return PipelineStarted(run=_run(found), job=str(job))


@router.get("/runs/{run_id}")
def get_run(uow: ReadUow, actor: CurrentActor, run_id: str) -> RunModel:
    """Return one run with its steps."""
    return _run(service.get(uow, actor, run_id=run_id))


@router.post("/runs/{run_id}/resume", status_code=202)
def resume_run(home: HomeDep, actor: CurrentActor, run_id: str) -> PipelineStarted:
    """Let a failed, cancelled or interrupted run go on behind its finished steps, with those it began with."""
    found, job = service.resume(home, actor, run_id=run_id)
    return PipelineStarted(run=_run(found), job=str(job))


@router.post("/runs/{run_id}/cancel")
def cancel_run(uow: WriteUow, actor: CurrentActor, run_id: str) -> RunModel:
    """Stop a run, with what its step has under way; finished steps stay, and resuming goes on behind them."""
    return _run(service.cancel(uow, actor, run_id=run_id))
