"""HTTP of training's share of the machine, under /api/v1/training/quota."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, ReadUow, WriteUow
from penstock.training.share import service
from penstock.training.share.model import TrainingQuota

router = APIRouter()


class TrainingQuotaModel(BaseModel):
    """How many training runs of the project may go on at once; null: no limit."""

    model_config = ConfigDict(extra="forbid")

    runs: int | None = Field(default=None, ge=0)


@router.get("/quota")
def get_training_quota(uow: ReadUow, actor: CurrentActor) -> TrainingQuotaModel:
    """Return how many training runs of the project may go on at once."""
    return TrainingQuotaModel(runs=service.quota(uow, actor).runs)


@router.put("/quota")
def put_training_quota(uow: WriteUow, actor: CurrentActor, new: TrainingQuotaModel) -> TrainingQuotaModel:
    """Limit how many training runs of the project may go on at once; others wait."""
    return TrainingQuotaModel(runs=service.set_quota(uow, actor, TrainingQuota(runs=new.runs)).runs)
