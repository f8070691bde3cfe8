"""HTTP of guardrails, under /api/v1/guardrails."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.guardrails import service
from penstock.guardrails.model import (
    Action,
    Checked,
    GuardConfig,
    OnError,
    Outcome,
    Policy,
    Record,
    Rules,
    Stage,
)

router = APIRouter(prefix="/guardrails", tags=["guardrails"])

PolicyName = Annotated[str, Path(min_length=1, max_length=63)]


class GuardModel(BaseModel):
    """One guard of a policy."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=100, description="See `/guardrails/kinds`")
    name: str = Field(default="", max_length=100, description="How verdicts name it; the kind when empty")
    stage: Stage | None = None
    action: Action | None = None
    on_error: OnError = OnError.CLOSED
    options: dict[str, Any] = {}


class RulesModel(BaseModel):
    """What a policy says."""

    model_config = ConfigDict(extra="forbid")

    guards: list[GuardModel]
    routes: list[str] = Field(default=["*"], description="Patterns of route names")
    keys: list[str] = Field(default=["*"], description="Patterns of key ids or names")
    order: int = Field(default=100, ge=-1_000_000, le=1_000_000)
    record: Record = Record.NOTHING
    description: str = Field(default="", max_length=2000)


class PolicyModel(RulesModel):
    """A version of a policy."""

    name: str
    number: int
    author: str
    created_at: datetime


class KindModel(BaseModel):
    """A kind of guard that is installed; of stages and actions the first is the usual one."""

    kind: str
    stages: list[Stage]
    actions: list[Action]
    options: str
    error: str


class CheckModel(BaseModel):
    """A text to be tried."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=1_000_000)
    stage: Stage = Stage.INPUT
    role: str = Field(default="user", max_length=20)
    route: str = Field(default="", max_length=200)
    key: str = Field(default="", max_length=200, description="Id or name of a key")
    system: list[str] = Field(default=[], max_length=100, description="System prompts, for guards of answers")
    tools: list[str] = Field(default=[], max_length=1000, description="Offered on input, called on output")
    policy: str = Field(default="", max_length=63, description="Only this one, whatever its routes and keys")
    rules: RulesModel | None = Field(default=None, description="Try these rules instead of kept policies")


class VerdictModel(BaseModel):
    """What a guard decided; never holds content."""

    outcome: Outcome
    guard: str
    rule: str
    policy: str
    stage: Stage
    score: float
    count: int
    hashes: list[str]


class CheckedModel(BaseModel):
    """What the guards said, and the text as they would let it pass."""

    allowed: bool
    text: str | None
    reason: str
    verdicts: list[VerdictModel]
    policies: list[str]


def _rules(given: RulesModel) -> Rules:
    guards = tuple(GuardConfig(**guard.model_dump()) for guard in given.guards)
    fields = given.model_dump(exclude={"guards", "routes", "keys"})
    return Rules(guards=guards, routes=tuple(given.routes), keys=tuple(given.keys), **fields)


def _policy(found: Policy) -> PolicyModel:
    fields: dict[str, Any] = msgspec.to_builtins(found.rules)
    return PolicyModel(
        name=found.name, number=found.number, author=found.author, created_at=found.created_at, **fields
    )


def _checked(found: Checked) -> CheckedModel:
    return CheckedModel.model_validate(msgspec.to_builtins(found))


@router.get("")
def list_policies(uow: ReadUow, actor: CurrentActor) -> Page[PolicyModel]:
    """List the policies in force."""
    return Page(items=[_policy(each) for each in service.list_policies(uow, actor)])


@router.get("/kinds")
def list_kinds(actor: CurrentActor) -> Page[KindModel]:  # noqa: ARG001 - only who is signed in may ask
    """List the kinds of guards: where they look, what they can do, and their options."""
    found = [KindModel.model_validate(msgspec.to_builtins(kind)) for kind in service.kinds()]
    return Page(items=found)


@router.post("/check")
def check_text(home: HomeDep, actor: CurrentActor, given: CheckModel) -> CheckedModel:
    """Try a text against policies, or against rules that are not kept; records nothing."""
    fields = given.model_dump(exclude={"rules", "system", "tools"})
    rules = None if given.rules is None else _rules(given.rules)
    trial = service.Trial(**fields, system=tuple(given.system), tools=tuple(given.tools), rules=rules)
    return _checked(service.check(home, actor, trial))


@router.get("/{name}")
def show_policy(uow: ReadUow, actor: CurrentActor, name: PolicyName) -> PolicyModel:
    """Show the version in force."""
    return _policy(service.get(uow, actor, name))


@router.put("/{name}")
def put_policy(uow: WriteUow, actor: CurrentActor, name: PolicyName, given: RulesModel) -> PolicyModel:
    """Put a new version in force."""
    return _policy(service.put_policy(uow, actor, name, _rules(given)))


@router.delete("/{name}", status_code=204)
def remove_policy(uow: WriteUow, actor: CurrentActor, name: PolicyName) -> None:
    """Take a policy out of force; its versions stay."""
    service.remove(uow, actor, name)


@router.get("/{name}/versions")
def list_versions(uow: ReadUow, actor: CurrentActor, name: PolicyName) -> Page[PolicyModel]:
    """List every version, newest first."""
    return Page(items=[_policy(each) for each in service.versions(uow, actor, name)])


@router.get("/{name}/versions/{number}")
def show_version(uow: ReadUow, actor: CurrentActor, name: PolicyName, number: int) -> PolicyModel:
    """Show one version."""
    return _policy(service.get(uow, actor, name, number))
