"""HTTP of serving, under /api/v1/deployments."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.serving import operating, service
from penstock.serving.api_models import (
    DeploymentDetail,
    DeploymentModel,
    DeploymentUpdate,
    NewAdapter,
    NewCanary,
    NewDeployment,
    QuotaModel,
    ReplicaLogModel,
    ReportModel,
    ScaleRequest,
    deployment_fields,
)
from penstock.serving.compare import CanaryReport
from penstock.serving.model import Autoscale, HistoryEntry, Quota, Status

router = APIRouter(prefix="/deployments", tags=["deployments"])
quota_router = APIRouter(prefix="/serving", tags=["deployments"])


Name = Annotated[str, Path(description="The deployment's name")]


def _model(status: Status) -> DeploymentModel:
    return DeploymentModel.model_validate(deployment_fields(status))


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
        memory_bytes=new.memory_bytes,
        gpus=new.gpus,
    )
    return _model(service.status(uow, actor, name=new.name))


@router.put("/{name}")
def update(uow: WriteUow, actor: CurrentActor, name: Name, new: DeploymentUpdate) -> DeploymentModel:
    """Change a deployment, by default replica by replica."""
    given = new.model_dump(exclude_unset=True, exclude={"priority", "rolling"})
    operating.update(uow, actor, name=name, changes=given, rolling=new.rolling, priority=new.priority)
    return _model(service.status(uow, actor, name=name))


@router.put("/{name}/scale")
def scale(uow: WriteUow, actor: CurrentActor, name: Name, new: ScaleRequest) -> DeploymentModel:
    """Set the number of replicas, or the rule by which it follows the load."""
    rule = None
    if new.min is not None or new.max is not None:
        least = 1 if new.min is None else new.min
        rule = Autoscale(
            min=least,
            max=max(1, least) if new.max is None else new.max,
            requests=new.requests,
            latency_ms=new.latency_ms,
            idle=new.idle,
            patience=new.patience,
        )
    operating.scale(uow, actor, name=name, replicas=new.replicas, autoscale=rule)
    return _model(service.status(uow, actor, name=name))


@router.post("/{name}/retry")
def retry(uow: WriteUow, actor: CurrentActor, name: Name) -> DeploymentModel:
    """Start replicas again that were given up."""
    operating.retry(uow, actor, name=name)
    return _model(service.status(uow, actor, name=name))


@router.get("/{name}/logs")
def read_logs(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    replica: str = "",
    tail: Annotated[int, Query(ge=1, le=operating.MAX_LINES)] = 200,
) -> Page[ReplicaLogModel]:
    """Return the last lines of what replicas wrote; `replica` is an id such as 2.0."""
    found = operating.logs(uow, actor, name=name, replica=replica, lines=tail)
    items = [ReplicaLogModel(replica=each.replica, lines=list(each.lines)) for each in found]
    return Page(items=items, next=None)


@router.put("/{name}/adapters/{adapter}")
def put_adapter(
    uow: WriteUow, actor: CurrentActor, name: Name, adapter: str, new: NewAdapter
) -> DeploymentModel:
    """Serve a LoRA adapter as `name:adapter`, without a restart."""
    operating.put_adapter(uow, actor, name=name, adapter=adapter, model=new.model)
    return _model(service.status(uow, actor, name=name))


@router.delete("/{name}/adapters/{adapter}")
def delete_adapter(uow: WriteUow, actor: CurrentActor, name: Name, adapter: str) -> DeploymentModel:
    """Stop serving an adapter."""
    operating.delete_adapter(uow, actor, name=name, adapter=adapter)
    return _model(service.status(uow, actor, name=name))


@router.get("/{name}/manifest", response_class=PlainTextResponse)
def read_manifest(
    uow: ReadUow, actor: CurrentActor, name: Name, format: str = "kubernetes", image: str = ""
) -> str:
    """Return YAML that runs the production version on Kubernetes or Ray Serve."""
    return operating.manifest(uow, actor, name=name, kind=format, image=image)


@router.get("/{name}")
def get_deployment(uow: ReadUow, actor: CurrentActor, name: Name) -> DeploymentDetail:
    """Return a deployment, its versions and replicas, and its history."""
    done = [_history(entry) for entry in service.history(uow, actor, name=name)]
    return DeploymentDetail.model_validate(
        {**deployment_fields(service.status(uow, actor, name=name)), "history": done}
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


@quota_router.get("/quota")
def get_quota(uow: ReadUow, actor: CurrentActor) -> QuotaModel:
    """Return how much of the machine the project's deployments may take."""
    return QuotaModel.model_validate(msgspec.to_builtins(operating.quota(uow, actor)))


@quota_router.put("/quota")
def put_quota(uow: WriteUow, actor: CurrentActor, new: QuotaModel) -> QuotaModel:
    """Limit how much of the machine the project's deployments may take."""
    wanted = Quota(replicas=new.replicas, memory_bytes=new.memory_bytes, gpus=new.gpus)
    return QuotaModel.model_validate(msgspec.to_builtins(operating.set_quota(uow, actor, wanted)))
