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
