"""What other slices may learn about models."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRegistered(Event):
    """A model got a new version."""

    name: ClassVar[str] = "registry.version_registered"
    model: str
    number: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMoved(Event):
    """An alias points at another version now."""

    name: ClassVar[str] = "registry.alias_moved"
    model: str
    alias: str
    number: int
    previous: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMoved(Event):
    """A version stands in another stage now."""

    name: ClassVar[str] = "registry.stage_moved"
    model: str
    number: int
    stage: str
    previous: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequested(Event):
    """Somebody wants to move a version; others must approve."""

    name: ClassVar[str] = "registry.stage_requested"
    request: str
    model: str
    number: int
    stage: str
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequestDecided(Event):
    """A request to move a version was approved or rejected."""

    name: ClassVar[str] = "registry.stage_request_decided"
    request: str
    model: str
    number: int
    stage: str
    state: str
    by: str
