"""HTTP of serving, under /api/v1/deployments."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.serving import service
from penstock.serving.compare import CanaryReport
from penstock.serving.model import HistoryEntry, Part, ReplicaState, Status

router = APIRouter(prefix="/deployments", tags=["deployments"])


class NewDeployment(BaseModel):
    """What shall answer under a name."""

    model_config = ConfigDict(extra="forbid")

    name: str
    model: str
    """Registry reference: name, name@3 or name@alias."""
    engine: str = service.DEFAULT_ENGINE
    replicas: int = 1
    options: dict[str, Any] = Field(default_factory=dict)


class NewCanary(BaseModel):
    """What shall be tried beside production."""

    model_config = ConfigDict(extra="forbid")

    model: str
    weight: float = 0.1
    replicas: int | None = None
    options: dict[str, Any] | None = None


class ReplicaModel(BaseModel):
    """One engine process as last seen."""

    position: int
    state: ReplicaState
    reason: str
    url: str
    pid: int | None
    restarts: int
    since: datetime


class VersionModel(BaseModel):
    """One version of a deployment."""

    number: int
    endpoint: str
    model: str
    engine: str
    options: dict[str, Any]
    part: Part
    share: float
    replicas: list[ReplicaModel]
    author: str
    created_at: datetime


class DeploymentModel(BaseModel):
    """A deployment as wanted and as last seen."""

    name: str
    state: str
    production: int
    candidate: int | None
    weight: float
    previous: int | None
    previous_until: datetime | None
    created_at: datetime
    updated_at: datetime
    versions: list[VersionModel]


class HistoryModel(BaseModel):
    """What was done."""

    action: str
    number: int
    detail: dict[str, Any]
    actor: str
    at: datetime


class DeploymentDetail(DeploymentModel):
    """A deployment with its history."""

    history: list[HistoryModel]


class SideModel(BaseModel):
    """What one version did since the canary began."""

    part: Part
    endpoint: str
    model: str
    calls: int
    errors: int
    error_rate: float | None
    error_low: float | None
    error_high: float | None
    mean_latency_ms: float | None
    input_tokens_per_call: float | None
    output_tokens_per_call: float | None
    cost_usd: float


class ReportModel(BaseModel):
    """Canary against production."""

    deployment: str
    since: datetime
    production: SideModel
    canary: SideModel
    latency_ratio: float | None
    more_errors: bool


Name = Annotated[str, Path(description="The deployment's name")]


def _fields(status: Status) -> dict[str, Any]:
    deployment = status.deployment
    versions = [
        {
            **msgspec.to_builtins(entry.version),
            "endpoint": deployment.endpoint(entry.version.number),
            "part": entry.part,
            "share": entry.share,
            "replicas": [msgspec.to_builtins(replica) for replica in entry.replicas],
        }
        for entry in status.versions
    ]
    return {**msgspec.to_builtins(deployment), "state": status.state, "versions": versions}


def _model(status: Status) -> DeploymentModel:
    return DeploymentModel.model_validate(_fields(status))


def _history(entry: HistoryEntry) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(entry)
    return found


def _report(report: CanaryReport) -> ReportModel:
    return ReportModel.model_validate(msgspec.to_builtins(report))


@router.get("")
def list_deployments(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[DeploymentModel]:
    """List deployments by name."""
    found = service.list_deployments(uow, actor, after=cursor, limit=limit + 1)
    following = found[limit - 1].deployment.name if len(found) > limit else None
    return Page(items=[_model(status) for status in found[:limit]], next=following)


@router.post("", status_code=201)
def deploy(uow: WriteUow, actor: CurrentActor, new: NewDeployment) -> DeploymentModel:
    """Let a model answer under a name, replacing what answered before once it is ready."""
    service.deploy(
        uow,
        actor,
        name=new.name,
        model=new.model,
        engine=new.engine,
        replicas=new.replicas,
        options=new.options,
    )
    return _model(service.status(uow, actor, name=new.name))


@router.get("/{name}")
def get_deployment(uow: ReadUow, actor: CurrentActor, name: Name) -> DeploymentDetail:
    """Return a deployment, its versions and replicas, and its history."""
    done = [_history(entry) for entry in service.history(uow, actor, name=name)]
    return DeploymentDetail.model_validate(
        {**_fields(service.status(uow, actor, name=name)), "history": done}
    )


@router.delete("/{name}", status_code=204)
def remove(uow: WriteUow, actor: CurrentActor, name: Name) -> None:
    """Stop answering under the name."""
    service.remove(uow, actor, name=name)


@router.post("/{name}/canary")
def canary(uow: WriteUow, actor: CurrentActor, name: Name, new: NewCanary) -> DeploymentModel:
    """Start a canary, or change its weight."""
    service.canary(
        uow, actor, name=name, model=new.model, weight=new.weight, replicas=new.replicas, options=new.options
    )
    return _model(service.status(uow, actor, name=name))


@router.get("/{name}/canary")
def canary_report(
    uow: ReadUow, actor: CurrentActor, name: Name, since: datetime | None = None
) -> ReportModel:
    """Compare canary and production by the calls of both."""
    return _report(service.canary_report(uow, actor, name=name, since=since))


@router.post("/{name}/promote")
def promote(uow: WriteUow, actor: CurrentActor, name: Name) -> DeploymentModel:
    """Make the canary production."""
    service.promote(uow, actor, name=name)
    return _model(service.status(uow, actor, name=name))


@router.post("/{name}/rollback")
def rollback(uow: WriteUow, actor: CurrentActor, name: Name) -> DeploymentModel:
    """Give up the canary, or go back to the version before."""
    service.rollback(uow, actor, name=name)
    return _model(service.status(uow, actor, name=name))
