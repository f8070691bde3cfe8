"""HTTP of models, under /api/v1/models."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.core.jobs import service as jobs
from penstock.registry import card, service
from penstock.registry.jobs import EXPORT
from penstock.registry.model import AliasMove, Kind, Model, ModelVersion, Stage

router = APIRouter(prefix="/models", tags=["models"])


class ModelModel(BaseModel):
    """A model with its aliases."""

    id: str
    name: str
    description: str
    created_at: datetime
    versions: int
    aliases: dict[str, int]


class FileModel(BaseModel):
    """One file of a version."""

    path: str
    sha256: str
    size: int


class LinkModel(BaseModel):
    """What a version was made from."""

    kind: str
    ref: str
    role: str


class VersionSummary(BaseModel):
    """An immutable version, without its files."""

    id: str
    model: str
    number: int
    ref: str
    kind: Kind
    base: str | None
    digest: str
    size: int
    stage: Stage
    metrics: dict[str, Any]
    author: str
    created_at: datetime


class VersionDetail(VersionSummary):
    """A version with its files, lineage and card."""

    files: list[FileModel]
    lineage: list[LinkModel]
    card: str
    """The model card as Markdown."""


class MoveModel(BaseModel):
    """One move of an alias."""

    alias: str
    version: int
    previous: int | None
    actor: str
    at: datetime


class ModelDetail(ModelModel):
    """A model with its newest versions and the history of its aliases."""

    items: list[VersionSummary]
    next: str | None
    history: list[MoveModel]


class AliasTarget(BaseModel):
    """The version an alias shall point at."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1)


class StageTarget(BaseModel):
    """The stage a version shall move to."""

    model_config = ConfigDict(extra="forbid")

    stage: Stage


class ExportRequest(BaseModel):
    """What to convert a version to."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["gguf", "merged"] = "gguf"
    quantization: Literal["f32", "f16", "q8_0"] = "f16"
    name: str = ""


class JobStarted(BaseModel):
    """The job that does it; see /jobs/{id}."""

    job: str


Name = Annotated[str, Path(description="The model's name")]
Number = Annotated[int, Path(ge=1, description="The version's number")]


def _model(model: Model) -> ModelModel:
    return ModelModel.model_validate(msgspec.to_builtins(model))


def _summary(version: ModelVersion) -> dict[str, Any]:
    return {**msgspec.to_builtins(version), "ref": version.ref, "size": version.size}


def _detail(version: ModelVersion) -> VersionDetail:
    return VersionDetail.model_validate({**_summary(version), "card": card.render(version)})


def _move(move: AliasMove) -> MoveModel:
    return MoveModel.model_validate(msgspec.to_builtins(move))


@router.get("")
def list_models(
    uow: ReadUow,
    actor: CurrentActor,
    q: Annotated[str, Query(description="Text in the name or description")] = "",
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[ModelModel]:
    """List models by name."""
    found = service.list_models(uow, actor, text=q, after=cursor, limit=limit + 1)
    following = found[limit - 1].name if len(found) > limit else None
    return Page(items=[_model(model) for model in found[:limit]], next=following)


@router.get("/{name}")
def get_model(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    cursor: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ModelDetail:
    """Return a model, its versions (newest first, paged), its aliases and their history."""
    model = service.find(uow, actor, name=name)
    found = service.list_versions(uow, actor, name=name, before=cursor, limit=limit + 1)
    moves = [_move(move) for move in service.alias_history(uow, actor, name=name)]
    return ModelDetail(
        **_model(model).model_dump(),
        items=[VersionSummary.model_validate(_summary(version)) for version in found[:limit]],
        next=str(found[limit - 1].number) if len(found) > limit else None,
        history=moves,
    )


@router.get("/{name}/versions/{number}")
def get_version(uow: ReadUow, actor: CurrentActor, name: Name, number: Number) -> VersionDetail:
    """Return one version with files and checksums, lineage, metrics and card."""
    return _detail(service.get(uow, actor, ref=f"{name}@{number}"))


@router.put("/{name}/aliases/{alias}")
def set_alias(uow: WriteUow, actor: CurrentActor, name: Name, alias: str, target: AliasTarget) -> ModelModel:
    """Point an alias at a version."""
    return _model(service.set_alias(uow, actor, name=name, alias=alias, version=target.version))


@router.put("/{name}/versions/{number}/stage")
def set_stage(
    uow: WriteUow, actor: CurrentActor, name: Name, number: Number, target: StageTarget
) -> VersionDetail:
    """Move a version to another stage."""
    return _detail(service.set_stage(uow, actor, ref=f"{name}@{number}", stage=target.stage))


@router.post("/{name}/versions/{number}/export", status_code=202)
def export_version(
    uow: WriteUow, actor: CurrentActor, name: Name, number: Number, request: ExportRequest
) -> JobStarted:
    """Convert a version to another format in the background; the job's result names the new version."""
    uow.may(actor, "models.write", name)
    version = service.get(uow, actor, ref=f"{name}@{number}")
    return JobStarted(job=jobs.enqueue(uow, actor, EXPORT, {"ref": version.ref, **request.model_dump()}).id)
