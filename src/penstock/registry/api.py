"""HTTP of models, under /api/v1/models."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from penstock.core.errors import NotFound
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.core.jobs import service as jobs
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import checks_api, governance_api, paper_service, service, stage_service, tagging
from penstock.registry.governance_api import (
    ManifestVerdict,
    PapersModel,
    StageMoveModel,
    StageRequestModel,
    move_model,
    papers_model,
    request_model,
)
from penstock.registry.jobs import EXPORT
from penstock.registry.model import AliasMove, Kind, Model, ModelVersion, Stage
from penstock.registry.stages.model import StageRequest

BYTES = "application/octet-stream"
router = APIRouter(prefix="/models", tags=["models"])
# Before the routes of one model: `stages` and `requests` are not names.
router.include_router(governance_api.router)
router.include_router(checks_api.router)


class ModelModel(BaseModel):
    """A model with its aliases."""

    id: str
    name: str
    description: str
    created_at: datetime
    versions: int
    aliases: dict[str, int]
    tags: list[str]


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


class EvidenceModel(BaseModel):
    """Something that was found out about a version: an evaluation of it, a deployment, a gate's decision."""

    kind: str
    ref: str
    role: str


class VersionDetail(VersionSummary, PapersModel):
    """A version with its files, lineage, papers and card."""

    files: list[FileModel]
    lineage: list[LinkModel]
    card: str
    """The model card as Markdown."""
    card_edited: bool
    verdict: ManifestVerdict
    """Whether the manifest holds against the recorded files; `verify` reads their bytes too."""
    evidence: list[EvidenceModel]
    stage_history: list[StageMoveModel]


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
    comment: str = ""


class StageAsked(BaseModel):
    """The move waits for the approval of others."""

    request: StageRequestModel


class ExportRequest(BaseModel):
    """What to convert a version to."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["gguf", "merged"] = "gguf"
    quantization: Literal[
        "f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0"
    ] = "f16"
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


def _detail(uow: UnitOfWork, actor: Actor, version: ModelVersion) -> VersionDetail:
    papers = paper_service.papers(uow, actor, ref=version.ref)
    verdict = paper_service.verify(uow, actor, ref=version.ref)
    moves = stage_service.history(uow, actor, name=version.model, number=version.number)
    down = service.lineage(uow, actor, ref=version.ref, direction="down", depth=1)
    said = {
        **_summary(version),
        **papers_model(papers).model_dump(),
        "card": paper_service.card(uow, actor, ref=version.ref),
        "card_edited": papers.card is not None,
        "verdict": {**msgspec.to_builtins(verdict), "holds": verdict.holds},
        "evidence": [{"kind": e.child_kind, "ref": e.child_ref, "role": e.role} for e in down],
        "stage_history": [move_model(move) for move in moves],
    }
    return VersionDetail.model_validate(said)


def _move(move: AliasMove) -> MoveModel:
    return MoveModel.model_validate(msgspec.to_builtins(move))


@router.get("")
def list_models(
    uow: ReadUow,
    actor: CurrentActor,
    query: Annotated[str, Query(description="Text in the name, description or a tag")] = "",
    q: Annotated[str, Query(description="The same, shorter")] = "",
    kind: Annotated[Kind | None, Query(description="Only models with a version of this kind")] = None,
    stage: Annotated[Stage | None, Query(description="Only models with a version in this stage")] = None,
    tag: Annotated[list[str] | None, Query(description="Only with this tag; several: with all")] = None,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[ModelModel]:
    """List models by name."""
    found = service.list_models(
        uow,
        actor,
        text=query or q,
        kind=kind,
        stage=stage,
        tags=tuple(tag or ()),
        after=cursor,
        limit=limit + 1,
    )
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
    """Return one version with files and checksums, lineage, metrics, papers and card."""
    return _detail(uow, actor, service.get(uow, actor, ref=f"{name}@{number}"))


@router.get("/{name}/versions/{number}/files/{path:path}", response_class=StreamingResponse)
def get_file(home: HomeDep, actor: CurrentActor, name: Name, number: Number, path: str) -> StreamingResponse:
    """Return the bytes of one file, checked against its SHA-256 while they are read."""
    with home.read() as uow:
        version = service.get(uow, actor, ref=f"{name}@{number}")
    entry = next((one for one in version.files if one.path == path), None)
    if entry is None:
        raise NotFound(f"{version.ref} has no file {path!r}.", hint="Its files are listed with the version.")
    headers = {
        "content-length": str(entry.size),
        "content-disposition": "attachment",
        "x-content-type-options": "nosniff",
        "etag": f'"{entry.sha256}"',
    }
    return StreamingResponse(home.blobs.stream(entry.sha256), media_type=BYTES, headers=headers)


@router.put("/{name}/aliases/{alias}")
def set_alias(uow: WriteUow, actor: CurrentActor, name: Name, alias: str, target: AliasTarget) -> ModelModel:
    """Point an alias at a version."""
    return _model(service.set_alias(uow, actor, name=name, alias=alias, version=target.version))


@router.put("/{name}/tags/{tag}")
def put_tag(uow: WriteUow, actor: CurrentActor, name: Name, tag: str) -> ModelModel:
    """Put a tag on a model."""
    return _model(tagging.tag(uow, actor, name=name, tag=tag))


@router.delete("/{name}/tags/{tag}")
def remove_tag(uow: WriteUow, actor: CurrentActor, name: Name, tag: str) -> ModelModel:
    """Take a tag away."""
    return _model(tagging.untag(uow, actor, name=name, tag=tag))


@router.put("/{name}/versions/{number}/stage", responses={202: {"model": StageAsked}})
def set_stage(
    uow: WriteUow, actor: CurrentActor, name: Name, number: Number, target: StageTarget, response: Response
) -> VersionDetail | StageAsked:
    """Move a version to another stage; where others must approve, ask for it (202)."""
    found = stage_service.move(uow, actor, ref=f"{name}@{number}", stage=target.stage, comment=target.comment)
    if isinstance(found, StageRequest):
        response.status_code = 202
        return StageAsked(request=request_model(found))
    return _detail(uow, actor, found)


@router.post("/{name}/versions/{number}/export", status_code=202)
def export_version(
    uow: WriteUow, actor: CurrentActor, name: Name, number: Number, request: ExportRequest
) -> JobStarted:
    """Convert a version to another format in the background; the job's result names the new version."""
    uow.may(actor, "models.write", name)
    version = service.get(uow, actor, ref=f"{name}@{number}")
    return JobStarted(job=jobs.enqueue(uow, actor, EXPORT, {"ref": version.ref, **request.model_dump()}).id)
