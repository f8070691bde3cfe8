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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationsUnmet(Event):
    """Rows did not meet what is expected of a dataset."""

    name: ClassVar[str] = "datasets.expectations_unmet"
    dataset: str
    number: int
    """The version; 0 for rows that were refused and became none."""
    state: str
    check: str
    """Id of the record of what became of the checks."""
