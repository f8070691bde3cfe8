"""Facts that releases publish."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDecided(Event):
    """Somebody, or the evidence, decided something about a release."""

    name: ClassVar[str] = "release.decided"

    release: str
    release_name: str
    decision: str
    state: str
    reason: str
