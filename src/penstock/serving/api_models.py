"""What the HTTP API of serving reads and answers."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from penstock.serving import service
from penstock.serving.model import Part, Replica, ReplicaState, Status


class NewDeployment(BaseModel):
    """What shall answer under a name."""

    model_config = ConfigDict(extra="forbid")

    name: str
    model: str
    """Registry reference: name, name@3 or name@alias."""
    engine: str = service.DEFAULT_ENGINE
    replicas: int = 1
    options: dict[str, Any] = Field(default_factory=dict)
    memory_bytes: int | None = None
    """Most memory of one replica."""
    gpus: int | None = None
    """GPUs of one replica."""


class DeploymentUpdate(BaseModel):
    """What shall be different; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    engine: str | None = None
    replicas: int | None = None
    options: dict[str, Any] | None = None
    memory_bytes: int | None = None
    gpus: int | None = None
    priority: int | None = None
    rolling: bool = True
    """Replica by replica; otherwise the earlier version stays warm until the new one is ready, and after."""


class ScaleRequest(BaseModel):
    """A fixed number of replicas, or a rule."""

    model_config = ConfigDict(extra="forbid")

    replicas: int | None = None
    min: int | None = None
    max: int | None = None
    requests: float = 4.0
    latency_ms: float | None = None
    idle: float = 300.0
    patience: float = 120.0


class AutoscaleModel(BaseModel):
    """How the number of replicas follows the load."""

    min: int
    max: int
    requests: float
    latency_ms: float | None
    idle: float
    patience: float


class NewAdapter(BaseModel):
    """Which adapter."""

    model_config = ConfigDict(extra="forbid")

    model: str
    """Registry reference of a model of kind adapter."""


class QueueModel(BaseModel):
    """Requests of all replicas."""

    running: int
    waiting: int


class QuotaModel(BaseModel):
    """How much of the machine a project may take; null: no limit."""

    model_config = ConfigDict(extra="forbid")

    replicas: int | None = None
    memory_bytes: int | None = None
    gpus: int | None = None


class ReplicaLogModel(BaseModel):
    """The end of one replica's output."""

    replica: str
    lines: list[str]


class NewCanary(BaseModel):
    """What shall be tried beside production."""

    model_config = ConfigDict(extra="forbid")

    model: str
    weight: float = 0.1
    replicas: int | None = None
    options: dict[str, Any] | None = None


class ReplicaModel(BaseModel):
    """One engine process as last seen."""

    id: str
    """`VERSION.POSITION`."""
    position: int
    state: ReplicaState
    reason: str
    error: str | None
    url: str
    port: int | None
    pid: int | None
    restarts: int
    since: datetime
    ready_at: datetime | None
    gpu: int | None
    gpus: list[int]
    adapters: list[str]
    cpu_percent: float | None
    memory_bytes: int | None
    gpu_percent: float | None
    running: int | None
    waiting: int | None


class VersionModel(BaseModel):
    """One version of a deployment."""

    number: int
    endpoint: str
    model: str
    engine: str
    options: dict[str, Any]
    part: Part
    share: float
    memory_bytes: int | None
    gpus: int
    wanted: int
    """Replicas it was deployed with."""
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
    model: str
    """The production version's; so are engine and options."""
    engine: str
    options: dict[str, Any]
    priority: int
    autoscale: AutoscaleModel | None
    adapters: dict[str, str]
    """Name → registry reference; each answers as `deployment:name`."""
    queue: QueueModel
    replicas: list[ReplicaModel]
    """Of all versions, production's first."""
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


def _replica(replica: Replica) -> dict[str, Any]:
    ready = replica.state is ReplicaState.READY
    return {
        **msgspec.to_builtins(replica),
        **msgspec.to_builtins(replica.usage),
        "id": f"{replica.number}.{replica.position}",
        "error": replica.reason or None,
        "port": urlsplit(replica.url).port if replica.url else None,
        "ready_at": replica.since if ready else None,
        "gpu": replica.gpus[0] if replica.gpus else None,
    }


def deployment_fields(status: Status) -> dict[str, Any]:
    """Return the members of a `DeploymentModel`."""
    deployment, production = status.deployment, status.production.version
    ordered = sorted(status.versions, key=lambda entry: entry.part is not Part.PRODUCTION)
    replicas = [replica for entry in ordered for replica in entry.replicas]
    versions = [
        {
            **msgspec.to_builtins(entry.version),
            "endpoint": deployment.endpoint(entry.version.number),
            "part": entry.part,
            "share": entry.share,
            "wanted": entry.version.replicas,
            "replicas": [_replica(replica) for replica in entry.replicas],
        }
        for entry in status.versions
    ]
    return {
        **msgspec.to_builtins(deployment),
        **msgspec.to_builtins(deployment.policy),
        "state": status.state,
        "model": production.model,
        "engine": production.engine,
        "options": production.options,
        "queue": {
            "running": sum(replica.usage.running or 0 for replica in replicas),
            "waiting": sum(replica.usage.waiting or 0 for replica in replicas),
        },
        "replicas": [_replica(replica) for replica in replicas],
        "versions": versions,
    }
