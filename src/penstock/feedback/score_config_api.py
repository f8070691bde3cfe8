"""HTTP of score configs, under /api/v1/score-configs."""

from datetime import datetime

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.feedback import score_configs
from penstock.feedback.model import ScoreConfig, ScoreKind

router = APIRouter(prefix="/score-configs")


class ScoreConfigBody(BaseModel):
    """What values a score may have."""

    model_config = ConfigDict(extra="forbid")

    kind: ScoreKind
    low: float | None = None
    high: float | None = None
    """Bounds of a number, themselves allowed."""
    options: list[str] = []
    """Of a categorical score."""
    description: str = ""


class ScoreConfigModel(ScoreConfigBody):
    """A score config."""

    name: str
    updated_at: datetime


def _model(config: ScoreConfig) -> ScoreConfigModel:
    return ScoreConfigModel.model_validate(msgspec.to_builtins(config))


@router.get("")
def list_score_configs(uow: ReadUow, actor: CurrentActor) -> Page[ScoreConfigModel]:
    """List score configs by name."""
    return Page(items=[_model(config) for config in score_configs.list_configs(uow, actor)])


@router.get("/{name}")
def get_score_config(uow: ReadUow, actor: CurrentActor, name: str) -> ScoreConfigModel:
    """Return one score config."""
    return _model(score_configs.get_config(uow, actor, name=name))


@router.put("/{name}")
def put_score_config(
    uow: WriteUow, actor: CurrentActor, name: str, config: ScoreConfigBody
) -> ScoreConfigModel:
    """Set what values a score may have from now on."""
    return _model(score_configs.put_config(uow, actor, name=name, **config.model_dump()))


@router.delete("/{name}", status_code=204)
def delete_score_config(uow: WriteUow, actor: CurrentActor, name: str) -> None:
    """Delete a score config; the name then takes any number."""
    score_configs.delete_config(uow, actor, name=name)
