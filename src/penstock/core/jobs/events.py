"""Events of durable work."""

from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class JobGivenUp(Event):
    """A job failed because its workers died again and again: its handler could not say so itself."""

    name: ClassVar[str] = "jobs.given_up"
    job_id: str
    kind: str
    spec: dict[str, Any]
    error: str
