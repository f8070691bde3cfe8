"""What other slices may learn about deployments."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentChanged(Event):
    """Somebody deployed, started a canary, promoted, rolled back or removed."""

    name: ClassVar[str] = "serving.deployment_changed"
    deployment: str
    action: str
    number: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaFailed(Event):
    """An engine process could not start or died."""

    name: ClassVar[str] = "serving.replica_failed"
    deployment: str
    number: int
    position: int
    reason: str
