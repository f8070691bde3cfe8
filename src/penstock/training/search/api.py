"""HTTP of hyper-parameter search, under /api/v1/training/searches."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.training import recipe as recipes
from penstock.training.search import service
from penstock.training.search.model import Search, SearchState, TrialState

router = APIRouter(prefix="/searches")


class NewSearch(BaseModel):
    """What to search."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | dict[str, Any] = Field(description="Name of a ready recipe, or a recipe")
    values: dict[str, Any] = Field(default_factory=dict, description="Recipe keys on top")
    space: dict[str, Any] = Field(
        description="Recipe key → choices, or {low, high, log, step, whole}", min_length=1
    )
    objectives: list[Any] = Field(description="[{metric, direction}]", min_length=1)
    sampler: str | dict[str, Any] = "tpe"
    pruner: str | dict[str, Any] = "none"
    trials: int = Field(default=20, ge=1, le=10_000)
    parallel: int = Field(default=1, ge=1, le=64)
    suite: str = Field(default="", description="Stored suite of the eval. objectives; empty: the recipe's")
    seed: int = 0


class MoreTrials(BaseModel):
    """How far an ended search should go on."""

    model_config = ConfigDict(extra="forbid")

    trials: int | None = Field(default=None, ge=1, le=10_000, description="Trials in all")


class TrialModel(BaseModel):
    """One try."""

    number: int
    state: TrialState
    params: dict[str, Any]
    values: dict[str, float]
    run_id: str | None
    error: str | None


class SearchModel(BaseModel):
    """A search and what came of it so far."""

    id: str
    plan: dict[str, Any]
    state: SearchState
    job_id: str | None
    error: str | None
    pareto: list[int] = Field(description="Trials that no other beats in every objective")
    importance: dict[str, float] = Field(description="Parameter → share, for the first objective")
    importances: dict[str, dict[str, float]] = Field(description="Objective → parameter → share")
    author: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    trials: list[TrialModel] = Field(description="Empty in lists")


SearchId = Annotated[str, Path(description="The search's id")]


def _search(found: Search) -> SearchModel:
    plain = msgspec.to_builtins(found)
    first = found.importance.get(found.plan.objectives[0].metric, {})
    return SearchModel.model_validate({**plain, "importance": first, "importances": found.importance})


@router.get("")
def list_searches(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[SearchModel]:
    """List searches without their trials, newest first."""
    found = service.list_searches(uow, actor, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_search(one) for one in found[:limit]], next=following)


@router.post("", status_code=201)
def start_search(home: HomeDep, actor: CurrentActor, new: NewSearch) -> SearchModel:
    """Queue a search."""
    plan = new.model_dump(exclude={"values"})
    if isinstance(new.recipe, str):
        plan["recipe"] = recipes.load(new.recipe, **new.values).to_dict()
    else:
        plan["recipe"] = recipes.merge(new.recipe, new.values)
    return _search(service.start(home, actor, plan))


@router.get("/{search_id}")
def get_search(uow: ReadUow, actor: CurrentActor, search_id: SearchId) -> SearchModel:
    """Return one search with its trials."""
    return _search(service.get(uow, actor, search_id=search_id))


@router.post("/{search_id}/stop")
def stop_search(uow: WriteUow, actor: CurrentActor, search_id: SearchId) -> SearchModel:
    """Ask a search to stop."""
    return _search(service.stop(uow, actor, search_id=search_id))


@router.post("/{search_id}/resume")
def resume_search(
    uow: WriteUow, actor: CurrentActor, search_id: SearchId, more: MoreTrials | None = None
) -> SearchModel:
    """Queue an ended search again, with more trials if asked."""
    trials = more.trials if more else None
    return _search(service.resume(uow, actor, search_id=search_id, trials=trials))
