"""Nouns and pure rules of serving: deployments, their versions, replicas, and who gets which share of the traffic."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
class Autoscale:
    """How many replicas the production version has, by what they have to do."""

    min: int = 1
    """0 lets it sleep: the first caller waits while it starts."""
    max: int = 1
    requests: float = 4.0
    """Requests, running and waiting, that one replica shall have."""
    latency_ms: float | None = None
    """Mean latency of calls above which another replica is started; None: not looked at."""
    idle: float = 300.0
    """Seconds without a call after which it goes down to 0, if `min` is 0."""
    patience: float = 120.0
    """Longest time in seconds that a caller waits for a sleeping deployment."""

    def __post_init__(self) -> None:
        if not 0 <= self.min <= self.max or not 1 <= self.max <= MAX_REPLICAS:
            raise Invalid(
                f"min and max must be 0 ≤ min ≤ max ≤ {MAX_REPLICAS}, not {self.min} and {self.max}."
            )
        positive = (
            self.requests,
            self.idle,
            self.patience,
            1.0 if self.latency_ms is None else self.latency_ms,
        )
        if not all(0 < value < float("inf") for value in positive):
            raise Invalid("requests, latency_ms, idle and patience must be above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What people say about a deployment besides its versions."""

    autoscale: Autoscale | None = None
    priority: int = 0
    """Where room is short, higher ones run first; -100 to 100."""
    rolling: bool = False
    """The production version takes over replica by replica; otherwise the earlier one stays warm beside it."""
    adapters: dict[str, str] = field(default_factory=dict)
    """LoRA adapters served beside the model: name → registry reference."""
    attempt: int = 0
    """Grows when somebody asks for a new start of what was given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a replica uses and does, as last measured; None where this machine or engine does not tell."""

    cpu_percent: float | None = None
    """Of one core: 200 is two cores."""
    memory_bytes: int | None = None
    gpu_percent: float | None = None
    """Of the GPUs assigned to it, on average."""
    running: int | None = None
    waiting: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentVersion:
    """One model in one engine with its options; immutable but for the number of replicas."""

    number: int
    model: str
    """Registry reference `name@number`."""
    engine: str
    replicas: int
    options: dict[str, Any]
    memory_bytes: int | None = None
    """Most memory that one replica may use: it is ended above that, and so much is kept free for it."""
    gpus: int = 0
    """GPUs that one replica has for itself."""
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
    policy: Policy = field(default_factory=Policy)
    created_at: datetime
    updated_at: datetime

    def endpoint(self, number: int) -> str:
        """`name@number`, the name of a version at the gateway and in traces."""
        return f"{self.name}@{number}"

    def adapter(self, name: str) -> str:
        """`deployment:adapter`, under which an adapter answers; the same in every version."""
        return f"{self.name}:{name}"

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
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs it has."""
    adapters: tuple[str, ...] = ()
    """Adapters that it serves now."""
    usage: Usage = field(default_factory=Usage)
    keeper: str = ""
    """The process that started it, see `keeper.mark`; empty for one that an earlier release stored."""


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
        """`ready`, `failed`, `asleep` or `starting`: that of the production version."""
        if self.production.ready:
            return "ready"
        if self.deployment.policy.autoscale is not None and not self.production.replicas:
            return "asleep" if self.deployment.policy.autoscale.min == 0 else "starting"
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
class Quota:
    """How much of the machine the deployments of one project may take together; None: no limit."""

    replicas: int | None = None
    memory_bytes: int | None = None
    """Sum of the memory limits of its replicas."""
    gpus: int | None = None

    def __post_init__(self) -> None:
        if any(value is not None and value < 0 for value in (self.replicas, self.memory_bytes, self.gpus)):
            raise Invalid("A quota cannot be negative.")


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


def shares(deployment: Deployment, ready: Mapping[int, int]) -> dict[int, float]:
    """Share of the traffic per version number, by how many replicas of which versions are ready.

    The candidate gets its weight once it is ready; production the rest. While production is not ready the previous
    version stands in for it, or else the candidate takes all. In a rolling update the two share by their replicas.
    When nothing is ready, production is named, so that callers are told that it is not ready.
    """
    main = deployment.production
    if not ready.get(main) and deployment.previous is not None and ready.get(deployment.previous):
        main = deployment.previous
    candidate = deployment.candidate
    if candidate is None or not ready.get(candidate):
        return _rolling(deployment, ready) or {main: 1.0}
    if not ready.get(main):
        return {candidate: 1.0}
    return {
        number: share
        for number, share in ((main, 1 - deployment.weight), (candidate, deployment.weight))
        if share
    }


def _rolling(deployment: Deployment, ready: Mapping[int, int]) -> dict[int, float]:
    new = ready.get(deployment.production, 0)
    old = 0 if deployment.previous is None else ready.get(deployment.previous, 0)
    if not deployment.policy.rolling or not new or not old or deployment.previous is None:
        return {}
    return {deployment.production: new / (new + old), deployment.previous: old / (new + old)}


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


def check_priority(priority: int) -> int:
    """Return `priority` if a deployment may have it, or raise Invalid."""
    if not -100 <= priority <= 100:
        raise Invalid(f"A priority is between -100 and 100, not {priority}.")
    return priority


def check_replicas(replicas: int) -> int:
    """Return `replicas` if a version may have that many, or raise Invalid."""
    if not 1 <= replicas <= MAX_REPLICAS:
        raise Invalid(f"A deployment needs 1 to {MAX_REPLICAS} replicas, not {replicas}.")
    return replicas


def sized(version: DeploymentVersion, memory_bytes: int | None, gpus: int | None) -> DeploymentVersion:
    """Return the version with what it needs; an engine's own option `gpus` says how many it takes."""
    if (memory_bytes is not None and memory_bytes < 1) or (gpus is not None and gpus < 0):
        raise Invalid("memory_bytes must be above 0 and gpus must not be negative.")
    found = int(version.options.get("gpus", 0)) if gpus is None else gpus
    return replace(version, memory_bytes=memory_bytes, gpus=found)
