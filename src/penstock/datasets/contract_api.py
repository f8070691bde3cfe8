"""HTTP of expectations and tags, under /api/v1/datasets/{name}."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.datasets import contract_service
from penstock.datasets.expectations import label
from penstock.datasets.model import check_name
from penstock.datasets.store.contracts import CheckRun, Contract, Tag

router = APIRouter()

Name = Annotated[str, Path(description="The dataset's name")]
Number = Annotated[int, Path(ge=1, le=999_999_999, description="The version's number")]


class NewExpectations(BaseModel):
    """What rows have to meet from now on."""

    model_config = ConfigDict(extra="forbid")

    checks: list[dict[str, Any]] = Field(
        description="For example {check: range, column: age, min: 0, action: quarantine}"
    )
    enforce: Literal["fail", "quarantine", "warn"] = Field(
        "fail", description="What happens when a check is not met that has no action"
    )
    every_hours: float = Field(0, ge=0, description="How often the newest version is checked again; 0: never")


class ExpectationsModel(BaseModel):
    """A revision of what a dataset's rows have to meet."""

    dataset: str
    revision: int = Field(description="0 when nothing is expected")
    checks: list[dict[str, Any]]
    enforce: str
    every_hours: float
    created_at: datetime | None
    created_by: str


class OutcomeModel(BaseModel):
    """What became of one check."""

    check: dict[str, Any]
    label: str
    action: str
    met: bool
    failed: int
    of: int
    reason: str
    examples: list[dict[str, Any]]


class CheckRunModel(BaseModel):
    """What became of all checks at some moment."""

    id: str
    dataset: str
    number: int = Field(description="The version; 0 for rows that were refused")
    revision: int
    reason: str
    state: str
    rows: int
    quarantined: int
    outcomes: list[OutcomeModel]
    checked_at: datetime
    checked_by: str


class QueuedModel(BaseModel):
    """The job that does it."""

    job: str


class TagModel(BaseModel):
    """A name for a version."""

    dataset: str
    tag: str
    number: int
    changed_at: datetime
    changed_by: str


class TagTarget(BaseModel):
    """The version that gets the tag."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, le=999_999_999)


def _contract(name: str, contract: Contract | None) -> ExpectationsModel:
    if contract is None:
        return ExpectationsModel(
            dataset=name, revision=0, checks=[], enforce="fail", every_hours=0, created_at=None, created_by=""
        )
    given = contract.expectations
    return ExpectationsModel(
        dataset=contract.dataset,
        revision=contract.revision,
        checks=[msgspec.to_builtins(check) for check in given.checks],
        enforce=given.enforce,
        every_hours=given.every_hours,
        created_at=contract.created_at,
        created_by=contract.created_by,
    )


def _run(run: CheckRun) -> CheckRunModel:
    plain = msgspec.to_builtins(run)
    verdict = plain.pop("verdict")
    outcomes = [{**one, "label": label(one["check"])} for one in verdict["outcomes"]]
    return CheckRunModel.model_validate({**plain, **verdict, "outcomes": outcomes})


def _tag(tag: Tag) -> TagModel:
    return TagModel.model_validate(msgspec.to_builtins(tag))


@router.put("/{name}/expectations")
def set_expectations(
    uow: WriteUow, actor: CurrentActor, name: Name, new: NewExpectations
) -> ExpectationsModel:
    """Set what rows have to meet from now on; versions that are there stay as they are."""
    made = contract_service.set_expectations(uow, actor, name=check_name(name), plain=new.model_dump())
    return _contract(name, made)


@router.get("/{name}/expectations")
def get_expectations(uow: ReadUow, actor: CurrentActor, name: Name) -> ExpectationsModel:
    """Return what rows have to meet."""
    found = contract_service.expectations(uow, actor, name=check_name(name))
    return _contract(name, found[0] if found else None)


@router.get("/{name}/expectations/history")
def list_expectations(
    uow: ReadUow, actor: CurrentActor, name: Name, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Page[ExpectationsModel]:
    """List the revisions of what rows have to meet, newest first."""
    found = contract_service.expectations(uow, actor, name=check_name(name), limit=limit)
    return Page(items=[_contract(name, one) for one in found], next=None)


@router.get("/{name}/expectations/results")
def list_results(
    uow: ReadUow, actor: CurrentActor, name: Name, limit: Annotated[int, Query(ge=1, le=200)] = 20
) -> Page[CheckRunModel]:
    """List what became of the checks of all versions and of refused rows, newest first."""
    found = contract_service.results(uow, actor, name=check_name(name), limit=limit)
    return Page(items=[_run(one) for one in found], next=None)


@router.get("/{name}/versions/{number}/expectations")
def list_version_results(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    number: Number,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Page[CheckRunModel]:
    """List what became of the checks of a version, newest first."""
    found = contract_service.results(uow, actor, name=check_name(name), number=number, limit=limit)
    return Page(items=[_run(one) for one in found], next=None)


@router.post("/{name}/versions/{number}/expectations", status_code=202)
def check_version(uow: WriteUow, actor: CurrentActor, name: Name, number: Number) -> QueuedModel:
    """Check a version again against the expectations of today, as a job."""
    return QueuedModel(job=contract_service.check_later(uow, actor, f"{check_name(name)}@{number}").id)


@router.get("/{name}/tags")
def list_tags(uow: ReadUow, actor: CurrentActor, name: Name) -> Page[TagModel]:
    """List the dataset's tags by name."""
    found = contract_service.tags(uow, actor, name=check_name(name))
    return Page(items=[_tag(tag) for tag in found], next=None)


@router.put("/{name}/tags/{tag}")
def set_tag(uow: WriteUow, actor: CurrentActor, name: Name, tag: str, target: TagTarget) -> TagModel:
    """Give a version the tag, taking it from the version that had it; `name@tag` then is that version."""
    return _tag(contract_service.set_tag(uow, actor, name=check_name(name), tag=tag, number=target.version))


@router.delete("/{name}/tags/{tag}", status_code=204)
def remove_tag(uow: WriteUow, actor: CurrentActor, name: Name, tag: str) -> None:
    """Remove a tag."""
    contract_service.remove_tag(uow, actor, name=check_name(name), tag=tag)
