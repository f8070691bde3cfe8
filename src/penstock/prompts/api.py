"""HTTP of prompts, under /api/v1/prompts."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.prompts import service
from penstock.prompts.model import Body, Kind, LabelMove, Prompt, PromptVersion, Variable

router = APIRouter(prefix="/prompts", tags=["prompts"])


class VariableModel(BaseModel):
    """A value that rendering needs."""

    model_config = ConfigDict(extra="forbid")

    name: str
    type: str = "string"
    required: bool = True
    default: Any = None
    description: str = ""


class BodyModel(BaseModel):
    """What a version says."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    text: str = ""
    messages: list[dict[str, Any]] = Field(default_factory=list)
    variables: list[VariableModel] = Field(default_factory=list)
    tools: list[dict[str, Any]] = Field(default_factory=list)
    output_schema: dict[str, Any] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    def noun(self) -> Body:
        """Return the body as the service takes it."""
        return Body(
            kind=self.kind,
            text=self.text,
            messages=tuple(self.messages),
            variables=tuple(Variable(**variable.model_dump()) for variable in self.variables),
            tools=tuple(self.tools),
            output_schema=self.output_schema,
            settings=self.settings,
        )


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


class VersionModel(BaseModel):
    """An immutable version."""

    id: str
    prompt: str
    number: int
    ref: str
    body: BodyModel
    hash: str
    note: str
    author: str
    created_at: datetime


class MoveModel(BaseModel):
    """One move of a label."""

    label: str
    version: int
    previous: int | None
    actor: str
    at: datetime


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


def _move(move: LabelMove) -> MoveModel:
    return MoveModel.model_validate(msgspec.to_builtins(move))


@router.get("")
def list_prompts(
    uow: ReadUow,
    actor: CurrentActor,
    q: Annotated[str, Query(description="Text in the name or description")] = "",
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[PromptModel]:
    """List prompts by name."""
    found = service.search(uow, actor, text=q, after=cursor, limit=limit + 1)
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


@router.put("/{name}/labels/{label}")
def set_label(uow: WriteUow, actor: CurrentActor, name: Name, label: str, target: LabelTarget) -> PromptModel:
    """Point a label at a version."""
    return _prompt(service.set_label(uow, actor, name=name, label=label, version=target.version))


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
