"""HTTP of experiments, under /api/v1/experiments."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow, decode_cursor, encode_cursor
from penstock.tracking import service
from penstock.tracking.model import NOTE_TAG, Activity, Experiment, State

router = APIRouter()

Filter = Annotated[str, Query(description="MLflow's filter language: metrics.loss < 0.1 AND tags.team = 'a'")]
OrderBy = Annotated[list[str], Query(description="For example metrics.loss ASC; may be given several times")]
Shown = Annotated[State, Query(description="active, or deleted ones")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class ExperimentModel(BaseModel):
    """A named group of runs."""

    id: str
    name: str
    state: State
    created_at: datetime
    updated_at: datetime
    tags: dict[str, str]
    note: str = Field(description="What people wrote about it, in Markdown: the tag `mlflow.note.content`")
    runs: int
    running: int
    last_run_at: datetime | None


class RunKeyModel(BaseModel):
    """A name that runs use: how many have it, and with how many different (of metrics: last) values."""

    key: str
    runs: int
    values: int


class RunKeysModel(BaseModel):
    """The names that the runs of an experiment use."""

    params: list[RunKeyModel]
    metrics: list[RunKeyModel]
    tags: list[RunKeyModel]


class ExperimentChange(BaseModel):
    """What to change of an experiment."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    note: str | None = Field(default=None, description="Markdown; an empty text takes the note away")
    tags: dict[str, str] = Field(default_factory=dict)


class NewExperiment(BaseModel):
    """An experiment to make."""

    model_config = ConfigDict(extra="forbid")

    name: str
    tags: dict[str, str] = Field(default_factory=dict)


def _experiment(found: Experiment, activity: Activity) -> ExperimentModel:
    return ExperimentModel(
        id=found.id,
        name=found.name,
        state=found.state,
        created_at=found.created_at,
        updated_at=found.updated_at,
        tags=found.tags,
        note=found.tags.get(NOTE_TAG, ""),
        runs=activity.runs,
        running=activity.running,
        last_run_at=activity.last_run_at,
    )


def _counted(uow: ReadUow | WriteUow, actor: CurrentActor, found: Experiment) -> ExperimentModel:
    return _experiment(found, service.activity_of(uow, actor, [found])[found.id])


def offset_of(cursor: str | None) -> int:
    """Return the place that a cursor names; raises Invalid."""
    offset = decode_cursor(cursor, 1)[0] if cursor else 0
    if not isinstance(offset, int) or offset < 0:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return offset


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
        uow, actor, filter=filter, order_by=order_by, state=state, offset=offset_of(cursor), limit=limit
    )
    following = None if found.next is None else encode_cursor(found.next)
    counted = service.activity_of(uow, actor, found.items)
    return Page(items=[_experiment(one, counted[one.id]) for one in found.items], next=following)


@router.post("/experiments", status_code=201)
def create_experiment(uow: WriteUow, actor: CurrentActor, new: NewExperiment) -> ExperimentModel:
    """Make an experiment."""
    return _counted(uow, actor, service.create_experiment(uow, actor, name=new.name, tags=new.tags))


@router.get("/experiments/{id}")
def get_experiment(uow: ReadUow, actor: CurrentActor, id: str) -> ExperimentModel:
    """Return an experiment."""
    return _counted(uow, actor, service.find_experiment(uow, actor, id=id))


@router.get("/experiments/{id}/keys")
def experiment_keys(uow: ReadUow, actor: CurrentActor, id: str) -> RunKeysModel:
    """Return the names of parameters, metrics and tags that the experiment's runs use, for choosing among them."""
    return RunKeysModel.model_validate(service.run_keys(uow, actor, id=id), from_attributes=True)


@router.patch("/experiments/{id}")
def change_experiment(
    uow: WriteUow, actor: CurrentActor, id: str, change: ExperimentChange
) -> ExperimentModel:
    """Rename an experiment, write its note, or set tags."""
    tags = dict(change.tags)
    gone = []
    if change.note is not None:
        held = service.find_experiment(uow, actor, id=id).tags
        gone = [NOTE_TAG] if NOTE_TAG in held and not change.note.strip() else []
        tags |= {NOTE_TAG: change.note} if change.note.strip() else {}
    if change.name is not None:
        service.rename_experiment(uow, actor, id=id, name=change.name)
    return _counted(uow, actor, service.tag_experiment(uow, actor, id=id, tags=tags, remove=gone))


@router.delete("/experiments/{id}")
def delete_experiment(uow: WriteUow, actor: CurrentActor, id: str) -> ExperimentModel:
    """Delete an experiment with its runs; it can be restored."""
    return _counted(uow, actor, service.set_experiment_state(uow, actor, id=id, state=State.DELETED))


@router.post("/experiments/{id}/restore")
def restore_experiment(uow: WriteUow, actor: CurrentActor, id: str) -> ExperimentModel:
    """Bring a deleted experiment back."""
    return _counted(uow, actor, service.set_experiment_state(uow, actor, id=id, state=State.ACTIVE))
