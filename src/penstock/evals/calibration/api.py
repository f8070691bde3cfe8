"""HTTP of judges and their agreement with people, under /api/v1/evals/judges."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow
from penstock.evals.calibration import service
from penstock.evals.calibration.model import THRESHOLD, Calibration, Label

router = APIRouter(prefix="/judges")


class FigureModel(BaseModel):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


class JudgeModel(BaseModel):
    """A judge's agreement with people on one metric."""

    id: str
    judge: str = Field(description="Digest of scorer, options, model and wording")
    scorer: str
    options: dict[str, Any]
    metric: str
    run_id: str
    kappa: FigureModel | None = Field(description="Agreement beyond chance")
    agreement: float = Field(description="Share of equal labels")
    n: int = Field(description="Labels")
    threshold: float
    people: float
    judged: float
    corrected: FigureModel | None = Field(
        description="What people would have given the run (prediction-powered)"
    )
    reason: str
    may_gate: bool
    actor: str
    created_at: datetime


class LabelModel(BaseModel):
    """What a person says of a sample."""

    model_config = ConfigDict(extra="forbid")

    sample_id: str
    value: float


class NewCalibration(BaseModel):
    """People's labels of a run's samples: in the body, or in a dataset's column."""

    model_config = ConfigDict(extra="forbid")

    run_id: str
    metric: str
    labels: list[LabelModel] = Field(default=[], max_length=10_000)
    dataset: str | None = None
    column: str | None = None
    threshold: float = Field(default=THRESHOLD, ge=0, le=1)
    scale: tuple[float, float] | None = Field(
        default=None, description="Lowest and highest grade of the labels"
    )


def _judge(found: Calibration) -> JudgeModel:
    values = msgspec.to_builtins(found)
    figures = values.pop("figures")
    return JudgeModel.model_validate({**values, **figures, "n": figures["labels"]})


@router.get("")
def list_judges(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[JudgeModel]:
    """List the last calibration of each judge and metric, newest first."""
    found = service.list_judges(uow, actor, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_judge(one) for one in found[:limit]], next=following)


@router.post("", status_code=201)
def calibrate(home: HomeDep, actor: CurrentActor, new: NewCalibration) -> JudgeModel:
    """Measure a judge's agreement with people and keep it."""
    if bool(new.labels) == bool(new.dataset and new.column):
        raise Invalid("Give labels, or a dataset and a column.")
    if new.dataset and new.column:
        labels = service.labels_of(home, actor, dataset=new.dataset, column=new.column)
    else:
        labels = [Label(one.sample_id, one.value) for one in new.labels]
    with home.begin() as uow:
        made = service.calibrate(
            uow,
            actor,
            run_id=new.run_id,
            metric=new.metric,
            labels=labels,
            threshold=new.threshold,
            scale=new.scale,
        )
    return _judge(made)
