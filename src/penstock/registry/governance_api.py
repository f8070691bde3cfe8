"""HTTP of stages, requests, papers, lineage and imports of models; part of /api/v1/models."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.core.jobs import service as jobs
from penstock.core.scope import Role
from penstock.registry import graph, paper_service, stage_service
from penstock.registry.importing import Wish, spec_of
from penstock.registry.jobs import IMPORT
from penstock.registry.model import Kind, Papers, Stage
from penstock.registry.stages.model import Paper, StageMove, StageRequest, StageRequestState

router = APIRouter()


class RequirementModel(BaseModel):
    """An evaluation that must have been finished: the suite's newest run on exactly this version counts."""

    model_config = ConfigDict(extra="forbid")

    suite: str
    metric: str = ""
    min: float | None = None
    max: float | None = None
    bound: Literal["value", "low", "high"] = "value"
    gate: bool = False


class StageRuleModel(BaseModel):
    """What it takes to move a version into a stage."""

    model_config = ConfigDict(extra="forbid")

    stage: Stage
    model: str = ""
    after: list[Stage] = Field(default_factory=list)
    evaluations: list[RequirementModel] = Field(default_factory=list)
    papers: list[Paper] = Field(default_factory=list)
    approvals: int = 0
    role: Role = Role.MEMBER
    alone: bool = False


class StageRules(BaseModel):
    """All rules of the project."""

    model_config = ConfigDict(extra="forbid")

    items: list[StageRuleModel]


class StageApprovalModel(BaseModel):
    """One person's yes."""

    by: str
    at: datetime
    reason: str


class StageRequestModel(BaseModel):
    """A wish to move a version that waits for approval, or was decided."""

    id: str
    model: str
    version: int
    ref: str
    stage: Stage
    previous: Stage
    state: StageRequestState
    comment: str
    asked_by: str
    asked_at: datetime
    approvals: list[StageApprovalModel]
    decided_by: str
    decided_at: datetime | None
    reason: str


class StageDecision(BaseModel):
    """Why a request is approved or rejected."""

    model_config = ConfigDict(extra="forbid")

    reason: str = ""


class StageMoveModel(BaseModel):
    """One move of a version."""

    number: int
    stage: Stage
    previous: Stage
    actor: str
    at: datetime
    comment: str
    approved_by: list[str]


class TransitionModel(BaseModel):
    """Whether a version may move into a stage now."""

    stage: Stage
    reasons: list[str]
    approvals: int


class CardText(BaseModel):
    """An edited card; null goes back to the generated one."""

    model_config = ConfigDict(extra="forbid")

    text: str | None


class CardModel(BaseModel):
    """A card as it is shown, and as the evidence would write it."""

    text: str
    generated: str
    edited: bool
    author: str
    at: datetime | None


class StatementModel(BaseModel):
    """Licence, intended use and signature; null leaves what is there."""

    model_config = ConfigDict(extra="forbid")

    licence: str | None = None
    intended_use: str | None = None
    signature: dict[str, Any] | None = None


class PapersModel(BaseModel):
    """What travels with a version besides its files."""

    licence: str
    intended_use: str
    signature: dict[str, Any] | None
    scan: dict[str, Any] | None
    manifest: dict[str, Any] | None


class ManifestVerdict(BaseModel):
    """Whether the signed manifest holds."""

    signed: bool
    holds: bool
    key_id: str
    problems: list[str]


class SigningKeyModel(BaseModel):
    """The public half of a key that signs manifests."""

    key_id: str
    public: str
    created_at: datetime


class LineageNode(BaseModel):
    """One thing of the graph; its id is `kind:ref`."""

    kind: str
    ref: str
    label: str


class LineageArrow(BaseModel):
    """`to` was made from `source`; both are `kind:ref`."""

    source: str = Field(serialization_alias="from")
    to: str
    role: str


class LineageGraph(BaseModel):
    """What a version was made from and what was made from it."""

    nodes: list[LineageNode]
    edges: list[LineageArrow]
    truncated: bool


class ModelImport(BaseModel):
    """Where a model comes from: a hub repository, a folder of the server (admins only), or an MLflow server."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["hub", "folder", "mlflow"]
    name: str
    kind: Kind | None = None
    base: str | None = None
    allow_pickles: bool = False
    licence: str = ""
    intended_use: str = ""
    description: str = ""
    repository: str = ""
    revision: str = "main"
    file: str = ""
    folder: str = ""
    uri: str = ""
    model: str = ""
    version: str = "1"


class ImportStarted(BaseModel):
    """The job that does it; its result names the version."""

    job: str


Name = Annotated[str, Path(description="The model's name")]
Number = Annotated[int, Path(ge=1, description="The version's number")]


def request_model(request: StageRequest) -> StageRequestModel:
    """Return a request as HTTP shows it."""
    return StageRequestModel.model_validate({**msgspec.to_builtins(request), "ref": request.ref})


def move_model(move: StageMove) -> StageMoveModel:
    """Return a move as HTTP shows it."""
    return StageMoveModel.model_validate(msgspec.to_builtins(move))


def papers_model(papers: Papers) -> PapersModel:
    """Return papers as HTTP shows them."""
    return PapersModel.model_validate(msgspec.to_builtins(papers))


@router.get("/stages")
def get_rules(uow: ReadUow, actor: CurrentActor) -> StageRules:
    """Return the project's rules for stages."""
    found = msgspec.to_builtins(stage_service.rules(uow, actor))
    return StageRules.model_validate({"items": found})


@router.put("/stages")
def put_rules(uow: WriteUow, actor: CurrentActor, rules: StageRules) -> StageRules:
    """Replace the project's rules for stages; needs the role admin."""
    found = stage_service.set_rules(uow, actor, rules=rules.model_dump(mode="json")["items"])
    return StageRules.model_validate({"items": msgspec.to_builtins(found)})


@router.get("/requests")
def list_requests(
    uow: ReadUow,
    actor: CurrentActor,
    model: str | None = None,
    state: StageRequestState | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[StageRequestModel]:
    """List requests to move versions, newest first."""
    found = stage_service.list_requests(uow, actor, name=model, state=state, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[request_model(each) for each in found[:limit]], next=following)


@router.post("/requests/{request_id}/approve")
def approve(
    uow: WriteUow, actor: CurrentActor, request_id: str, decision: StageDecision
) -> StageRequestModel:
    """Approve somebody else's request; the last approval that is needed moves the version."""
    return request_model(stage_service.approve(uow, actor, id=request_id, reason=decision.reason))


@router.post("/requests/{request_id}/reject")
def reject(uow: WriteUow, actor: CurrentActor, request_id: str, decision: StageDecision) -> StageRequestModel:
    """Turn a request down, or take one's own back."""
    return request_model(stage_service.reject(uow, actor, id=request_id, reason=decision.reason))


@router.get("/signing-keys")
def signing_keys(uow: ReadUow, actor: CurrentActor) -> Page[SigningKeyModel]:
    """List the public keys that manifests can be checked with, the one in use first."""
    found = paper_service.signing_keys(uow, actor)
    items = [SigningKeyModel(key_id=k.key_id, public=k.public, created_at=k.created_at) for k in found]
    return Page(items=items, next=None)


@router.post("/import", status_code=202)
def start_import(uow: WriteUow, actor: CurrentActor, wanted: ModelImport) -> ImportStarted:
    """Bring a model in, in the background."""
    uow.may(actor, "models.import.admin" if wanted.source == "folder" else "models.write", wanted.name)
    said = {
        "licence": wanted.licence,
        "intended_use": wanted.intended_use,
        "description": wanted.description,
    }
    wish = Wish(
        name=wanted.name,
        kind=str(wanted.kind or ""),
        base=wanted.base,
        allow_pickles=wanted.allow_pickles,
        told={key: value for key, value in said.items() if value},
    )
    places = wanted.model_dump(include={"source", "repository", "revision", "file", "folder", "uri", "model"})
    spec = {**places, "version": wanted.version, "wish": spec_of(wish)}
    return ImportStarted(job=jobs.enqueue(uow, actor, IMPORT, spec).id)


@router.get("/{name}/versions/{number}/transitions")
def transitions(uow: ReadUow, actor: CurrentActor, name: Name, number: Number) -> Page[TransitionModel]:
    """Return what stands against moving the version into each other stage."""
    found = stage_service.transitions(uow, actor, ref=f"{name}@{number}")
    return Page(
        items=[TransitionModel.model_validate(msgspec.to_builtins(each)) for each in found], next=None
    )


@router.get("/{name}/versions/{number}/lineage")
def get_lineage(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    number: Number,
    direction: graph.Direction = "both",
    depth: Annotated[int, Query(ge=1, le=24)] = 8,
) -> LineageGraph:
    """Return the lineage graph around a version."""
    found = graph.graph(uow, actor, ref=f"{name}@{number}", direction=direction, depth=depth)
    return LineageGraph(
        nodes=[LineageNode(kind=n.kind, ref=n.ref, label=n.label) for n in found.nodes],
        edges=[LineageArrow(source=e.source, to=e.target, role=e.role) for e in found.edges],
        truncated=found.truncated,
    )


@router.get("/{name}/versions/{number}/card")
def get_card(uow: ReadUow, actor: CurrentActor, name: Name, number: Number) -> CardModel:
    """Return the card, and what the evidence would write."""
    return _card(uow, actor, f"{name}@{number}")


@router.put("/{name}/versions/{number}/card")
def put_card(uow: WriteUow, actor: CurrentActor, name: Name, number: Number, card: CardText) -> CardModel:
    """Edit the card, or go back to the generated one."""
    paper_service.edit_card(uow, actor, ref=f"{name}@{number}", text=card.text)
    return _card(uow, actor, f"{name}@{number}")


def _card(uow: Any, actor: Any, ref: str) -> CardModel:
    held = paper_service.papers(uow, actor, ref=ref)
    generated = paper_service.generated_card(uow, actor, ref=ref)
    return CardModel(
        text=generated if held.card is None else held.card,
        generated=generated,
        edited=held.card is not None,
        author=held.card_author,
        at=held.card_at,
    )


@router.put("/{name}/versions/{number}/statement")
def put_statement(
    uow: WriteUow, actor: CurrentActor, name: Name, number: Number, said: StatementModel
) -> PapersModel:
    """Record licence, intended use and signature."""
    found = paper_service.state(
        uow,
        actor,
        ref=f"{name}@{number}",
        licence=said.licence,
        intended_use=said.intended_use,
        signed=said.signature,
    )
    return papers_model(found)
