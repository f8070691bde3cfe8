"""HTTP of fine-tuning at a provider, under /api/v1/training/hosted."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.training.hosted import service
from penstock.training.hosted.model import HostedJob, HostedPlan, HostedState
from penstock.training.recipe import Columns

router = APIRouter(prefix="/hosted")


class HostedColumns(BaseModel):
    """Names of the dataset's columns."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = "prompt"
    completion: str = "completion"
    chosen: str = "chosen"
    rejected: str = "rejected"


class NewHostedJob(BaseModel):
    """What a provider should train."""

    model_config = ConfigDict(extra="forbid")

    provider: str
    model: str = Field(description="The provider's own name of the base model", min_length=1, max_length=300)
    dataset: str
    method: str = Field(default="sft", description="sft or dpo")
    split: str = ""
    validation_split: str = ""
    columns: HostedColumns = HostedColumns()
    hyperparameters: dict[str, Any] = Field(
        default_factory=dict, description="n_epochs, batch_size, learning_rate_multiplier, beta"
    )
    suffix: str = Field(default="", max_length=64)
    seed: int = 0


class HostedModel(BaseModel):
    """A fine-tuning job at a provider."""

    id: str
    plan: dict[str, Any]
    dataset: str
    state: HostedState
    remote: dict[str, Any]
    model: str | None = Field(description="The tuned model's name at the provider")
    error: str | None
    author: str
    created_at: datetime
    ended_at: datetime | None


JobId = Annotated[str, Path(description="The job's id")]


def _job(found: HostedJob) -> HostedModel:
    return HostedModel.model_validate(msgspec.to_builtins(found))


@router.get("")
def list_hosted(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[HostedModel]:
    """List jobs at providers, newest first."""
    found = service.list_jobs(uow, actor, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_job(one) for one in found[:limit]], next=following)


@router.post("", status_code=201)
def start_hosted(home: HomeDep, actor: CurrentActor, new: NewHostedJob) -> HostedModel:
    """Check the rows and take the job on; the background uploads them and follows the job."""
    values = new.model_dump()
    plan = HostedPlan(**{**values, "columns": Columns(**values["columns"])})
    return _job(service.start(home, actor, plan))


@router.get("/{job_id}")
def get_hosted(uow: ReadUow, actor: CurrentActor, job_id: JobId) -> HostedModel:
    """Return one job."""
    return _job(service.get(uow, actor, job_id=job_id))


@router.post("/{job_id}/cancel")
def cancel_hosted(uow: WriteUow, actor: CurrentActor, job_id: JobId) -> HostedModel:
    """Ask to cancel a job."""
    return _job(service.cancel(uow, actor, job_id=job_id))
