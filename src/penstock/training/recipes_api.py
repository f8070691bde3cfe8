"""HTTP of recipes: the ready ones, and a look at what one would learn from."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Cancelled, Unavailable
from penstock.core.http import CurrentActor, HomeDep, Page
from penstock.training import preview
from penstock.training import recipe as recipes

router = APIRouter(prefix="/training", tags=["training"])


class TrainingRecipeModel(BaseModel):
    """A recipe that comes with Penstock."""

    name: str
    description: str
    text: str
    """The recipe as YAML."""


class TrainingPreviewRequest(BaseModel):
    """A recipe to look at."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | dict[str, Any] = Field(description="Name of a ready recipe, or the recipe's keys")
    values: dict[str, Any] = Field(
        default_factory=dict, description="Recipe keys; they win over the recipe's"
    )


class TrainingProblemModel(BaseModel):
    """Why one row cannot be trained on."""

    row: int
    message: str


class TrainingSegmentModel(BaseModel):
    """A stretch of text that is learnt, or not, as a whole."""

    text: str
    trained: bool


class TrainingExampleModel(BaseModel):
    """A row as the model sees it."""

    row: int
    name: str
    text: str
    segments: list[TrainingSegmentModel]
    tokens: int
    trained_tokens: int


class TrainingPreviewModel(BaseModel):
    """What a run of the recipe would learn from."""

    rows: int
    problem_count: int
    problems: list[TrainingProblemModel]
    """The first, by row."""
    mistakes: list[str]
    """A line for each different problem, with the rows that have it; the commonest first."""
    examples: list[TrainingExampleModel]


@router.get("/recipes")
def list_recipes(_actor: CurrentActor) -> Page[TrainingRecipeModel]:
    """List the recipes that come with Penstock."""
    found = []
    for name in recipes.ready():
        text = recipes.source(name)
        about = recipes.description(name)
        found.append(TrainingRecipeModel(name=name, description=about, text=text))
    return Page(items=found, next=None)


@router.post("/preview")
def preview_recipe(
    home: HomeDep, actor: CurrentActor, wanted: TrainingPreviewRequest, request: Request
) -> TrainingPreviewModel:
    """Check every row of a recipe's dataset, and show some as the model would see them; nothing is trained.

    The recipe may lack a name. 503 when the server is stopped meanwhile.
    """
    recipe = recipes.load_unnamed(wanted.recipe, wanted.values)
    try:
        found = preview.preview(
            home, actor, recipe, cancelled=lambda: getattr(request.app.state, "stopping", False)
        )
    except Cancelled as error:
        raise Unavailable(
            "The server is stopping, and the preview with it.", hint="Ask again.", retry_after=5
        ) from error
    return TrainingPreviewModel.model_validate(msgspec.to_builtins(found))
