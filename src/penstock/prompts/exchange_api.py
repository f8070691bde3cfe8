"""HTTP of prompts that come from other programs, under /api/v1/prompts."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, WriteUow
from penstock.prompts import exchange_service
from penstock.prompts.shapes import VersionModel

router = APIRouter()


class ForeignProgram(BaseModel):
    """A program that another tool saved."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["dspy"]
    program: dict[str, Any] = Field(description="The JSON that `program.save` wrote")
    outputs: list[str] = Field(default=[], description="Output fields, where they are not what is guessed")
    note: str = Field(default="", max_length=10_000)


@router.post("/{name}/import", status_code=201)
def import_program(
    uow: WriteUow,
    actor: CurrentActor,
    name: Annotated[str, Path(description="The prompt's name; several predictors become name.PREDICTOR")],
    given: ForeignProgram,
) -> Page[VersionModel]:
    """Add each predictor of a saved program as a version of a prompt."""
    found = exchange_service.import_dspy(
        uow, actor, name=name, program=given.program, outputs=given.outputs, note=given.note
    )
    items = [VersionModel.model_validate({**msgspec.to_builtins(one), "ref": one.ref}) for one in found]
    return Page(items=items, next=None)
