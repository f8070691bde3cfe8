"""HTTP of the targets' health, at /api/v1/gateway/health."""

from datetime import datetime

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel

from penstock.core.http import CurrentActor, Page, ReadUow
from penstock.gateway.routing.publisher import target_health

router = APIRouter(prefix="/gateway", tags=["gateway"])


class HealthModel(BaseModel):
    """How a target is, over all web processes that are alive."""

    provider: str
    model: str
    state: str
    in_flight: int
    ewma_ms: float
    requests: int
    errors: int
    last_error: str
    last_error_at: datetime | None
    last_ok_at: datetime | None


@router.get("/health")
def list_health(uow: ReadUow, actor: CurrentActor) -> Page[HealthModel]:
    """List the targets that were called since the processes started: breaker, calls in flight, latency, errors."""
    found = target_health(uow, actor)
    return Page(items=[HealthModel.model_validate(msgspec.to_builtins(each)) for each in found])
