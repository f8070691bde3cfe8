"""HTTP of comparing versions."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from penstock.core.http import CurrentActor, HomeDep
from penstock.datasets import service
from penstock.datasets.compare import Wanted
from penstock.datasets.model import check_name

router = APIRouter()

Name = Annotated[str, Path(description="The dataset's name")]


class DifferenceModel(BaseModel):
    """How two versions differ."""

    before: str
    after: str
    added: int
    removed: int
    changed: int
    unchanged: int
    columns_added: list[str]
    columns_removed: list[str]
    columns_retyped: list[str]
    fields: dict[str, int] = Field(description="Column → changed rows that differ in it")
    examples: list[dict[str, Any]] = Field(description="Rows: change, key, fields, before, after")


class DiffQuery(BaseModel):
    """Which rows of a comparison to show."""

    key: str | None = Field(None, description="Column that identifies a row; else the versions' own keys")
    change: Literal["added", "removed", "changed"] | None = None
    skip: int = Field(0, ge=0)
    limit: int = Field(20, ge=0, le=1000)


@router.get("/{name}/diff")
def diff(
    home: HomeDep,
    actor: CurrentActor,
    name: Name,
    before: Annotated[int, Query(ge=1, alias="from")],
    after: Annotated[int, Query(ge=1, alias="to")],
    query: Annotated[DiffQuery, Query()],
) -> DifferenceModel:
    """Compare two versions row by row, by their keys or by the column `key`."""
    check_name(name)
    wanted = Wanted(examples=query.limit, skip=query.skip, change=query.change)
    found = service.diff(home, actor, f"{name}@{before}", f"{name}@{after}", key=query.key, wanted=wanted)
    return DifferenceModel.model_validate(msgspec.to_builtins(found))
