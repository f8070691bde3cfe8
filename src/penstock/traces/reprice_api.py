"""HTTP of pricing history anew: POST /api/v1/traces/reprice."""

from datetime import datetime

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import clock
from penstock.core.http import CurrentActor, HomeDep
from penstock.traces import reprice

router = APIRouter(prefix="/traces", tags=["traces"])


class RepriceRequest(BaseModel):
    """Which calls to price anew."""

    model_config = ConfigDict(extra="forbid")

    since: datetime
    until: datetime | None = None
    model: str | None = Field(default=None, description="Model that answered or was asked for; null: all")
    given: bool = Field(default=False, description="Also costs that came with their spans")
    dry_run: bool = False


class RepriceModel(BaseModel):
    """What pricing anew does: at once for a dry run, else in the result of the job."""

    job: str | None = Field(description="The job to follow; null for a dry run")
    calls: int | None = None
    changed: int | None = None
    unpriced: int | None = Field(default=None, description="Calls whose price nobody knows")
    before_usd: float | None = None
    after_usd: float | None = None


@router.post("/reprice", status_code=202)
def reprice_history(home: HomeDep, actor: CurrentActor, given: RepriceRequest) -> RepriceModel:
    """Price calls of the past by the prices that hold now; every sum follows."""
    wanted = reprice.Repricing(
        since=_aware(given.since),
        until=None if given.until is None else _aware(given.until),
        model=given.model,
        given=given.given,
    )
    if given.dry_run:
        return RepriceModel(job=None, **msgspec.structs.asdict(reprice.dry_run(home, actor, wanted)))
    with home.begin() as uow:
        return RepriceModel(job=reprice.start(uow, actor, wanted).id)


def _aware(moment: datetime) -> datetime:
    return clock.parse_iso(moment.isoformat())
