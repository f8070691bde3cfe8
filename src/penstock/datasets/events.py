"""What other slices may learn about datasets."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRegistered(Event):
    """A dataset got a new version."""

    name: ClassVar[str] = "datasets.version_registered"
    dataset: str
    number: int
    hash: str
    rows: int
