"""HTTP of stored suites, under /api/v1/evals/suites."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.evals.suite import parse_suite
from penstock.evals.suites import service
from penstock.evals.suites.files import parse_text
from penstock.evals.suites.model import StoredSuite

router = APIRouter(prefix="/suites")

Name = Annotated[str, Path(max_length=200)]


class SuiteModel(BaseModel):
    """A suite under its name."""

    name: str
    spec: dict[str, Any]
    updated_at: datetime
    updated_by: str
    version: str = Field(description="Names this content: NAME@VERSION means the suite while it is this one")


class NewSuite(BaseModel):
    """A suite to keep."""

    model_config = ConfigDict(extra="forbid")

    suite: dict[str, Any] | str = Field(description="The suite, or its YAML; `name` may be left out")


def _suite(stored: StoredSuite) -> SuiteModel:
    return SuiteModel.model_validate(msgspec.to_builtins(stored) | {"version": stored.version})


@router.get("")
def list_suites(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[SuiteModel]:
    """List stored suites by name."""
    found = service.list_suites(uow, actor, after=cursor, limit=limit + 1)
    following = found[limit - 1].name if len(found) > limit else None
    return Page(items=[_suite(one) for one in found[:limit]], next=following)


@router.get("/{name}")
def get_suite(uow: ReadUow, actor: CurrentActor, name: Name) -> SuiteModel:
    """Return a stored suite."""
    return _suite(service.get(uow, actor, name=name))


@router.put("/{name}")
def put_suite(uow: WriteUow, actor: CurrentActor, name: Name, new: NewSuite) -> SuiteModel:
    """Keep a suite under a name, in place of an earlier one."""
    document = parse_text(new.suite) if isinstance(new.suite, str) else new.suite
    if isinstance(document, dict):
        document = {"name": name, **document}
    return _suite(service.put(uow, actor, name=name, suite=parse_suite(document)))


@router.delete("/{name}", status_code=204)
def delete_suite(uow: WriteUow, actor: CurrentActor, name: Name) -> None:
    """Forget a suite; its runs stay."""
    service.remove(uow, actor, name=name)
