"""Nouns and pure rules of serving: deployments, their versions, replicas, and who gets which share of the traffic."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.scope import Scope

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
MAX_REPLICAS = 64


class ReplicaState(StrEnum):
    """Where one engine process is."""

    PENDING = "pending"
    """Wanted, not yet begun."""
    STARTING = "starting"
    """The process exists; it has not yet generated a token."""
    READY = "ready"
    """It generated a token and gets traffic."""
    FAILED = "failed"
    """It could not start or died; the reason is shown, and it is tried again with growing pauses."""
    STOPPED = "stopped"
    """No longer wanted; it finishes what it is doing and ends."""


class Part(StrEnum):
    """What a version is for in its deployment."""

    PRODUCTION = "production"
    CANARY = "canary"
    PREVIOUS = "previous"
    """Kept warm so that a rollback takes effect at once."""
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentVersion:
    """One model in one engine with its options; immutable."""

    number: int
    model: str
    """Registry reference `name@number`."""
    engine: str
    replicas: int
    options: dict[str, Any]
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A name that answers, and what shall answer under it."""

    id: str
    name: str
    """Also the public model name: the gateway's route."""
    production: int
    candidate: int | None
    weight: float
    """Share of the traffic that the candidate shall get, 0 to 1."""
    previous: int | None
    previous_until: datetime | None
    """Until when the previous version is kept warm."""
    created_at: datetime
    updated_at: datetime

    def endpoint(self, number: int) -> str:
        """`name@number`, the name of a version at the gateway and in traces."""
        return f"{self.name}@{number}"

    def part(self, number: int) -> Part:
        """What the version of that number is for."""
        if number == self.production:
            return Part.PRODUCTION
        if number == self.candidate:
            return Part.CANARY
        return Part.PREVIOUS if number == self.previous else Part.RETIRED

    def running(self, at: datetime) -> tuple[int, ...]:
        """The versions that shall run at that moment: production first."""
        numbers = [self.production]
        if self.candidate is not None:
            numbers.append(self.candidate)
        warm = self.previous_until is not None and at < self.previous_until
        if self.previous is not None and warm and self.previous not in numbers:
            numbers.append(self.previous)
        return tuple(numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One engine process as last seen."""

    number: int
    """The deployment version it serves."""
    position: int
    state: ReplicaState
    reason: str = ""
    url: str = ""
    pid: int | None = None
    restarts: int = 0
    since: datetime
    """When it came into this state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
    """A version of a deployment with what it is for, the traffic it gets now, and its replicas."""

    version: DeploymentVersion
    part: Part
    share: float
    """Share of the traffic that it gets now, 0 to 1."""
    replicas: tuple[Replica, ...]

    @property
    def ready(self) -> bool:
        """Whether at least one replica is ready."""
        return any(replica.state is ReplicaState.READY for replica in self.replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A deployment as wanted and as seen, its versions newest first."""

    deployment: Deployment
    versions: tuple[VersionStatus, ...]

    def of(self, number: int) -> VersionStatus:
        """The status of the version of that number."""
        return next(entry for entry in self.versions if entry.version.number == number)

    @property
    def production(self) -> VersionStatus:
        """The version that shall answer."""
        return self.of(self.deployment.production)

    @property
    def state(self) -> str:
        """`ready`, `failed` or `starting`: that of the production version."""
        if self.production.ready:
            return "ready"
        failed = any(replica.state is ReplicaState.FAILED for replica in self.production.replicas)
        return "failed" if failed else "starting"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """What was done to a deployment."""

    action: str
    """deploy, canary, promote, rollback or remove."""
    number: int
    detail: dict[str, Any]
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A replica that shall run: what the reconciler compares with what does."""

    scope: Scope
    deployment: Deployment
    version: DeploymentVersion
    position: int

    @property
    def key(self) -> tuple[str, int, int]:
        """Deployment id, version number, position."""
        return (self.deployment.id, self.version.number, self.position)


def shares(deployment: Deployment, ready: Mapping[int, bool]) -> dict[int, float]:
    """Share of the traffic per version number, by which versions are ready.

    The candidate gets its weight once it is ready; production the rest. While production is not ready the previous
    version stands in for it, or else the candidate takes all. When nothing is ready, production is named, so that
    callers are told that it is not ready.
    """
    main = deployment.production
    if not ready.get(main) and deployment.previous is not None and ready.get(deployment.previous):
        main = deployment.previous
    candidate = deployment.candidate
    if candidate is None or not ready.get(candidate):
        return {main: 1.0}
    if not ready.get(main):
        return {candidate: 1.0}
    return {
        number: share
        for number, share in ((main, 1 - deployment.weight), (candidate, deployment.weight))
        if share
    }


def check_name(name: str) -> str:
    """Return `name` if it may name a deployment, or raise Invalid."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a deployment name.",
            hint="Use lower-case letters, digits, and . _ -, at most 100, starting with a letter or digit.",
        )
    return name


def check_weight(weight: float) -> float:
    """Return `weight` if a candidate may get that share, or raise Invalid."""
    if not 0 <= weight < 1:
        raise Invalid(f"A canary's weight must be at least 0 and below 1, not {weight}.", hint="0.1 is 10 %.")
    return weight


def check_replicas(replicas: int) -> int:
    """Return `replicas` if a version may have that many, or raise Invalid."""
    if not 1 <= replicas <= MAX_REPLICAS:
        raise Invalid(f"A deployment needs 1 to {MAX_REPLICAS} replicas, not {replicas}.")
    return replicas
