"""Facts that feedback publishes."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackGiven(Event):
    """Somebody judged an answer."""

    name: ClassVar[str] = "feedback.given"

    feedback_id: str
    trace_id: str
    feedback_name: str
