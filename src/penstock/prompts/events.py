"""What other slices may learn about prompts."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionAdded(Event):
    """A prompt got a new version."""

    name: ClassVar[str] = "prompts.version_added"
    prompt: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMoved(Event):
    """A label points at another version now."""

    name: ClassVar[str] = "prompts.label_moved"
    prompt: str
    label: str
    number: int
    previous: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequested(Event):
    """Somebody wants to move a protected label; somebody else must decide."""

    name: ClassVar[str] = "prompts.label_requested"
    request: str
    prompt: str
    label: str
    number: int
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequestDecided(Event):
    """A request to move a protected label was approved or rejected."""

    name: ClassVar[str] = "prompts.label_request_decided"
    request: str
    prompt: str
    label: str
    state: str
    by: str
