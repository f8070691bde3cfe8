"""HTTP of cleaning and of what is known about a version's rows; mounted by `api` below /api/v1/datasets."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, ReadUow
from penstock.datasets import bias, cleaning, service
from penstock.datasets.cleaning import Cleaning
from penstock.datasets.model import check_name
from penstock.datasets.recipe import parse

router = APIRouter()

Name = Annotated[str, Path(description="The dataset's name")]
Number = Annotated[int, Path(ge=1, le=999_999_999, description="The version's number")]


class CleanRequest(BaseModel):
    """What to do to a version."""

    model_config = ConfigDict(extra="forbid")

    recipe: list[dict[str, Any]] | dict[str, Any] | None = Field(
        None, description="Steps; left out: those of `like`"
    )
    like: str | None = Field(None, description="A version whose recorded recipe is to run again")
    dry_run: bool = Field(False, description="Only say what would happen to the first `limit` rows")
    limit: int = Field(cleaning.DRY_ROWS, ge=1, le=cleaning.INLINE_ROWS, description="Rows of a dry run")
    to: str | None = Field(None, description="Dataset to register in; left out: the same")
    key: bool = Field(True, description="Whether to keep the key column")
    description: str = ""


class TrialModel(BaseModel):
    """What a recipe would do."""

    ref: str
    rows_in: int
    rows_out: int
    complete: bool
    columns: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    changes: dict[str, Any]
    rows: list[dict[str, Any]]


class CleanResult(BaseModel):
    """A version at once, a job that makes it, or what a dry run found."""

    version: str | None = None
    job: str | None = None
    trial: TrialModel | None = None


@router.post(
    "/{name}/versions/{number}/clean",
    status_code=201,
    responses={
        200: {"model": CleanResult, "description": "A dry run: nothing was registered"},
        202: {"model": CleanResult, "description": "Queued: the job makes the version"},
    },
)
def clean(
    response: Response, home: HomeDep, actor: CurrentActor, name: Name, number: Number, asked: CleanRequest
) -> CleanResult:
    """Make the next version by a recipe, or try the recipe; a large version becomes a job."""
    ref = f"{check_name(name)}@{number}"
    given = cleaning.recorded(home, actor, asked.like) if asked.like else parse(asked.recipe)
    if asked.dry_run:
        trial = cleaning.attempt(home, actor, ref, given, limit=asked.limit)
        response.status_code = 200
        return CleanResult(trial=TrialModel.model_validate(msgspec.to_builtins(trial)))
    with home.read() as uow:
        rows = service.resolve(uow, actor, ref).rows
    wanted = Cleaning(
        ref=ref, recipe=given.plain(), to=asked.to, key=asked.key, description=asked.description
    )
    if rows > cleaning.INLINE_ROWS or cleaning.asks(given):
        response.status_code = 202
        return CleanResult(job=cleaning.start(home, actor, wanted).id)
    return CleanResult(version=cleaning.run(home, actor, wanted, service.silent))


@router.get("/{name}/versions/{number}/profile")
def get_profile(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    number: Number,
    than: Annotated[str | None, Query(description="A version to compare with, as before")] = None,
) -> dict[str, Any]:
    """Return the version's profile: columns, lengths, languages, personal data, duplicates, topics and more."""
    return cleaning.profiled(uow, actor, f"{check_name(name)}@{number}", than=than)


class BiasRequest(BaseModel):
    """What to look at."""

    model_config = ConfigDict(extra="forbid")

    group: str | None = Field(None, description="Column that names each row's group")
    label: str | None = None
    positive: str | None = Field(None, description="Value of the label that counts")
    weight: str | None = Field(None, description="Column of weights")
    columns: list[str] = Field([], description="Text columns; empty: all text")
    lists: list[str] = Field(["gender"], description="Swap lists")
    than: str | None = Field(None, description="A version to compare with, as before")


@router.post("/{name}/versions/{number}/bias")
def examine_bias(
    home: HomeDep, actor: CurrentActor, name: Name, number: Number, asked: BiasRequest
) -> dict[str, Any]:
    """Return group rates, representation, mentions and counterfactual pairs of a version."""
    question = bias.Question(
        group=asked.group,
        label=asked.label,
        positive=asked.positive,
        weight=asked.weight,
        columns=tuple(asked.columns),
        lists=tuple(asked.lists),
    )
    found = bias.examine(home, actor, f"{check_name(name)}@{number}", question)
    if asked.than is not None:
        before = bias.examine(home, actor, asked.than, replace(question, weight=None))
        found["before"] = bias.compare(before, found)
    return found
