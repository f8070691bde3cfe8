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
