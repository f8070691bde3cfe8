"""HTTP of prompts, under /api/v1/prompts."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.prompts import exchange_api, label_service, service
from penstock.prompts.model import (
    Kind,
    LabelMove,
    LabelRequest,
    Prompt,
    PromptVersion,
    RequestState,
)
from penstock.prompts.shapes import BodyModel, VersionModel

router = APIRouter(prefix="/prompts", tags=["prompts"])
router.include_router(exchange_api.router)


class NewPrompt(BaseModel):
    """A prompt to make."""

    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = ""
    tags: list[str] = Field(default_factory=list)


class NewVersion(BodyModel):
    """A version to add."""

    note: str = ""


class LabelTarget(BaseModel):
    """The version a label shall point at."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1)
    note: str = ""


class Tags(BaseModel):
    """Words to find a prompt by."""

    model_config = ConfigDict(extra="forbid")

    tags: list[str]


class Reason(BaseModel):
    """Why somebody decides so, or goes back."""

    model_config = ConfigDict(extra="forbid")

    reason: str = ""


class RenderRequest(BaseModel):
    """Which version to fill, and with what."""

    model_config = ConfigDict(extra="forbid")

    version: int | None = None
    label: str | None = None
    variables: dict[str, Any] = Field(default_factory=dict)


class PromptModel(BaseModel):
    """A prompt with its labels."""

    id: str
    name: str
    description: str
    tags: list[str]
    created_at: datetime
    versions: int
    labels: dict[str, int]
    protected: list[str]
    """Labels that move only with another person's approval."""


class MoveModel(BaseModel):
    """One move of a label."""

    label: str
    version: int
    previous: int | None
    actor: str
    at: datetime
    kind: str
    """set, rollback or remove."""
    note: str
    approved_by: str


class RequestModel(BaseModel):
    """A wish to move a protected label."""

    id: str
    prompt: str
    label: str
    version: int
    previous: int | None
    state: RequestState
    note: str
    asked_by: str
    asker_id: str
    asked_at: datetime
    decided_by: str
    decided_at: datetime | None
    reason: str


class Asked(BaseModel):
    """The label is protected: this request waits for somebody else."""

    request: RequestModel


class PromptDetail(PromptModel):
    """A prompt with the history of its labels."""

    history: list[MoveModel]


class RenderedModel(BaseModel):
    """A filled version."""

    ref: str
    kind: Kind
    text: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    output_schema: dict[str, Any] | None
    settings: dict[str, Any]
    includes: dict[str, str]
    """Every include, as it is written, and the version it was."""


class PieceModel(BaseModel):
    """A run of text, equal or only in one version."""

    op: Literal["equal", "insert", "delete"]
    text: str


class ChangeModel(BaseModel):
    """A part that differs."""

    field: str
    pieces: list[PieceModel]


Name = Annotated[str, Path(description="The prompt's name")]
Number = Annotated[int, Path(ge=1, description="The version's number")]


def _prompt(prompt: Prompt) -> PromptModel:
    return PromptModel.model_validate(msgspec.to_builtins(prompt))


def _version(version: PromptVersion) -> VersionModel:
    return VersionModel.model_validate({**msgspec.to_builtins(version), "ref": version.ref})


def _request(request: LabelRequest) -> RequestModel:
    return RequestModel.model_validate(msgspec.to_builtins(request))


def _move(move: LabelMove) -> MoveModel:
    return MoveModel.model_validate(msgspec.to_builtins(move))


@router.get("")
def list_prompts(
    uow: ReadUow,
    actor: CurrentActor,
    query: Annotated[str, Query(description="Text in names, descriptions, tags or newest versions")] = "",
    q: Annotated[str, Query(description="The same, shorter")] = "",
    tag: Annotated[list[str] | None, Query(description="Only with this tag; several: with all")] = None,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[PromptModel]:
    """List prompts by name."""
    found = service.search(uow, actor, text=query or q, tags=tuple(tag or ()), after=cursor, limit=limit + 1)
    return Page(
        items=[_prompt(p) for p in found[:limit]], next=found[limit - 1].name if len(found) > limit else None
    )


@router.post("", status_code=201)
def create_prompt(uow: WriteUow, actor: CurrentActor, new: NewPrompt) -> PromptModel:
    """Make an empty prompt."""
    return _prompt(
        service.create(uow, actor, name=new.name, description=new.description, tags=tuple(new.tags))
    )


@router.get("/{name}")
def get_prompt(uow: ReadUow, actor: CurrentActor, name: Name) -> PromptDetail:
    """Return a prompt, its labels and their history."""
    moves = [_move(move) for move in service.history(uow, actor, name=name)]
    return PromptDetail(**_prompt(service.find(uow, actor, name=name)).model_dump(), history=moves)


@router.get("/{name}/versions")
def list_versions(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    cursor: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[VersionModel]:
    """List versions, newest first."""
    found = service.list_versions(uow, actor, name=name, before=cursor, limit=limit + 1)
    following = str(found[limit - 1].number) if len(found) > limit else None
    return Page(items=[_version(v) for v in found[:limit]], next=following)


@router.post("/{name}/versions", status_code=201)
def add_version(uow: WriteUow, actor: CurrentActor, name: Name, new: NewVersion) -> VersionModel:
    """Add a version, making the prompt if need be."""
    return _version(service.add_version(uow, actor, name=name, body=new.noun(), note=new.note))


@router.get("/{name}/versions/{number}")
def get_version(uow: ReadUow, actor: CurrentActor, name: Name, number: Number) -> VersionModel:
    """Return one version."""
    return _version(service.get(uow, actor, name=name, version=number))


@router.put("/{name}/tags")
def set_tags(uow: WriteUow, actor: CurrentActor, name: Name, given: Tags) -> PromptModel:
    """Replace the tags."""
    return _prompt(service.describe(uow, actor, name=name, tags=tuple(given.tags)))


@router.put("/{name}/labels/{label}", responses={202: {"model": Asked}})
def set_label(
    uow: WriteUow, actor: CurrentActor, name: Name, label: str, target: LabelTarget, response: Response
) -> PromptModel | Asked:
    """Point a label at a version; a protected one waits for somebody else's approval (202)."""
    found = label_service.point(uow, actor, name=name, label=label, version=target.version, note=target.note)
    if isinstance(found, Prompt):
        return _prompt(found)
    response.status_code = 202
    return Asked(request=_request(found))


@router.delete("/{name}/labels/{label}")
def remove_label(uow: WriteUow, actor: CurrentActor, name: Name, label: str) -> PromptModel:
    """Take a label away."""
    return _prompt(service.remove_label(uow, actor, name=name, label=label))


@router.get("/{name}/labels/{label}/history")
def label_history(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    label: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Page[MoveModel]:
    """List the moves of a label, newest first."""
    found = service.history(uow, actor, name=name, label=label, limit=limit)
    return Page(items=[_move(move) for move in found], next=None)


@router.post("/{name}/labels/{label}/rollback")
def roll_back(
    uow: WriteUow, actor: CurrentActor, name: Name, label: str, why: Reason | None = None
) -> PromptModel:
    """Point a label at the version it had before; again: at the one before that."""
    note = why.reason if why is not None else ""
    return _prompt(label_service.roll_back(uow, actor, name=name, label=label, note=note))


@router.put("/{name}/protected/{label}")
def protect(uow: WriteUow, actor: CurrentActor, name: Name, label: str) -> PromptModel:
    """Let a label move only with another person's approval."""
    return _prompt(label_service.protect(uow, actor, name=name, label=label))


@router.delete("/{name}/protected/{label}")
def unprotect(uow: WriteUow, actor: CurrentActor, name: Name, label: str) -> PromptModel:
    """Let a label move freely again."""
    return _prompt(label_service.unprotect(uow, actor, name=name, label=label))


@router.get("/{name}/requests")
def list_requests(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    state: RequestState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Page[RequestModel]:
    """List requests to move protected labels, newest first."""
    found = label_service.list_requests(uow, actor, name=name, state=state, limit=limit)
    return Page(items=[_request(request) for request in found], next=None)


@router.post("/requests/{id}/approve")
def approve(uow: WriteUow, actor: CurrentActor, id: str, why: Reason | None = None) -> RequestModel:
    """Carry out somebody else's request."""
    reason = why.reason if why is not None else ""
    return _request(label_service.approve(uow, actor, id=id, reason=reason))


@router.post("/requests/{id}/reject")
def reject(uow: WriteUow, actor: CurrentActor, id: str, why: Reason | None = None) -> RequestModel:
    """Turn a request down, or take back one's own."""
    reason = why.reason if why is not None else ""
    return _request(label_service.reject(uow, actor, id=id, reason=reason))


@router.post("/{name}/render")
def render(uow: ReadUow, actor: CurrentActor, name: Name, request: RenderRequest) -> RenderedModel:
    """Fill a version with values."""
    rendered = service.render(
        uow, actor, name=name, variables=request.variables, version=request.version, label=request.label
    )
    return RenderedModel.model_validate(msgspec.to_builtins(rendered))


@router.get("/{name}/diff")
def diff(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    before: Annotated[int, Query(ge=1, alias="from")],
    after: Annotated[int, Query(ge=1, alias="to")],
) -> list[ChangeModel]:
    """Compare two versions word by word."""
    changes = service.diff(uow, actor, name=name, before=before, after=after)
    return [ChangeModel.model_validate(msgspec.to_builtins(change)) for change in changes]
