"""HTTP of limits and budgets, under /api/v1/keys/{id}/limits, /api/v1/limits and /api/v1/budgets."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.gateway.limits import forgetting, service
from penstock.gateway.limits.model import (
    MOST_PER_MINUTE,
    MOST_USD,
    Budget,
    Period,
    RateLimits,
    Spend,
    SubjectKind,
)

router = APIRouter(tags=["limits"])

KeyId = Annotated[str, Path(description="The key's id")]
BudgetName = Annotated[str, Path(description="The budget's name")]
Kind = Annotated[SubjectKind, Path(description="What is limited")]
Whose = Annotated[str, Path(description="Key id, user, project or route; `*` for each of them")]
UserName = Annotated[str, Path(description="The user, as calls name it")]
Figure = Annotated[int | None, Field(default=None, ge=1, le=MOST_PER_MINUTE)]


class LimitsModel(BaseModel):
    """Rate limits; what is left out is not limited."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Figure
    input_tokens_per_minute: Figure
    output_tokens_per_minute: Figure
    concurrent: Figure


class NamedLimitsModel(BaseModel):
    """Rate limits with whose they are."""

    kind: SubjectKind
    subject: str
    limits: LimitsModel
    updated_at: datetime


class NewBudget(BaseModel):
    """A budget to make or change."""

    model_config = ConfigDict(extra="forbid")

    usd: float = Field(gt=0, le=MOST_USD, description="US dollars per period")
    period: Period = Period.MONTH
    kind: SubjectKind = SubjectKind.PROJECT
    subject: str = Field(
        default="",
        max_length=200,
        description="Key id, user, project or route; `*` for each; empty: the own project",
    )
    soft: list[float] = Field(
        default=[0.8], max_length=10, description="Fractions at which an alert is published"
    )
    hard: bool = Field(default=True, description="Refuse calls when it is spent")


class SpendModel(BaseModel):
    """What is spent, reserved and left of a budget for one subject in a period, in US dollars."""

    subject: str
    period: str
    spent_usd: float
    reserved_usd: float
    left_usd: float
    aside_usd: dict[str, float] = Field(
        description="What of `spent_usd` went beside callers' answers: copy, embedder, hedge, retry"
    )


class BudgetModel(NewBudget):
    """A budget with its state in the present period; of one for each (`*`), that of the subject that spent most."""

    name: str
    state: SpendModel
    updated_at: datetime | None


def _limits(limits: RateLimits) -> LimitsModel:
    return LimitsModel.model_validate(msgspec.to_builtins(limits))


def _spend(spend: Spend) -> SpendModel:
    return SpendModel(
        subject=spend.subject,
        period=spend.period,
        spent_usd=spend.spent,
        reserved_usd=spend.reserved,
        left_usd=spend.left,
        aside_usd=dict(spend.aside),
    )


def _budget(spend: Spend) -> BudgetModel:
    budget = spend.budget
    return BudgetModel(
        name=budget.name,
        usd=budget.usd,
        period=budget.period,
        kind=budget.kind,
        subject=budget.subject,
        soft=list(budget.soft),
        hard=budget.hard,
        state=_spend(spend),
        updated_at=budget.updated_at,
    )


@router.get("/keys/{key_id}/limits")
def get_key_limits(uow: ReadUow, actor: CurrentActor, key_id: KeyId) -> LimitsModel:
    """Return a key's rate limits."""
    return _limits(service.get_limits(uow, actor, kind=SubjectKind.KEY, subject=key_id))


@router.put("/keys/{key_id}/limits")
def put_key_limits(uow: WriteUow, actor: CurrentActor, key_id: KeyId, new: LimitsModel) -> LimitsModel:
    """Set a key's rate limits, all at once; every web process follows within a second."""
    return _put(uow, actor, SubjectKind.KEY, key_id, new)


def _put(
    uow: WriteUow, actor: CurrentActor, kind: SubjectKind, subject: str, new: LimitsModel
) -> LimitsModel:
    limits = RateLimits(**new.model_dump())
    made = service.put_limits(uow, actor, kind=kind, subject=subject, limits=limits)
    return _limits(RateLimits() if made is None else made.limits)


@router.get("/limits")
def list_limits(uow: ReadUow, actor: CurrentActor) -> Page[NamedLimitsModel]:
    """List the rate limits of keys, users, projects, routes and the tenant."""
    found = service.list_limits(uow, actor)
    return Page(
        items=[
            NamedLimitsModel(
                kind=named.kind,
                subject=named.subject,
                limits=_limits(named.limits),
                updated_at=named.updated_at,
            )
            for named in found
        ]
    )


@router.put("/limits/{kind}/{subject:path}")
def put_limits(
    uow: WriteUow, actor: CurrentActor, kind: Kind, subject: Whose, new: LimitsModel
) -> LimitsModel:
    """Set the rate limits of any subject; without figures they are removed."""
    return _put(uow, actor, kind, subject, new)


@router.get("/budgets")
def list_budgets(uow: ReadUow, actor: CurrentActor) -> Page[BudgetModel]:
    """List budgets with what is spent, reserved and left."""
    return Page(items=[_budget(spend) for spend in service.list_budgets(uow, actor)])


@router.get("/budgets/{name}")
def get_budget(uow: ReadUow, actor: CurrentActor, name: BudgetName) -> BudgetModel:
    """Return one budget with its state."""
    return _budget(service.spend_of(uow, actor, name))


@router.get("/budgets/{name}/subjects")
def list_subjects(uow: ReadUow, actor: CurrentActor, name: BudgetName) -> Page[SpendModel]:
    """List what each subject of a budget has spent in the present period, the largest first (at most 1000)."""
    return Page(items=[_spend(spend) for spend in service.spends(uow, actor, name)])


@router.delete("/budgets/{name}/subjects/{subject:path}", status_code=204)
def forget_account(uow: WriteUow, actor: CurrentActor, name: BudgetName, subject: UserName) -> None:
    """Forget what one end user has spent of a budget, in every period: the user has all of it again."""
    forgetting.forget_account(uow, actor, name, subject)


@router.put("/budgets/{name}")
def put_budget(uow: WriteUow, actor: CurrentActor, name: BudgetName, new: NewBudget) -> BudgetModel:
    """Make or change a budget; what was spent in the period stays spent."""
    budget = Budget(
        name=name,
        kind=new.kind,
        subject=new.subject,
        period=new.period,
        usd=new.usd,
        soft=tuple(new.soft),
        hard=new.hard,
    )
    service.put_budget(uow, actor, budget)
    return _budget(service.spend_of(uow, actor, name))


@router.delete("/budgets/{name}", status_code=204)
def delete_budget(uow: WriteUow, actor: CurrentActor, name: BudgetName) -> None:
    """Delete a budget and what was counted for it."""
    service.delete_budget(uow, actor, name)
