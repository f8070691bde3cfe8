"""Nouns of alerts: what was told, and the address that wants to be told."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core import clock

EXHAUSTED = 1.0
"""The fraction of an alert that says that nothing is left."""


class Delivery(StrEnum):
    """Where an alert's way to the webhook stands."""

    NONE = "none"
    """The project has no webhook."""
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A budget that has spent a fraction of its amount, or all of it: once per subject, period and fraction."""

    id: str
    at: datetime
    budget: str
    kind: str
    subject: str
    period: str
    fraction: float
    """1 when nothing is left."""
    spent_usd: float
    limit_usd: float
    delivery: Delivery = Delivery.NONE
    error: str | None = None
    """Why the webhook did not take it, the last time it was tried."""

    @property
    def exhausted(self) -> bool:
        """Whether nothing of the budget is left."""
        return self.fraction >= EXHAUSTED

    @property
    def text(self) -> str:
        """One sentence for people."""
        whose = f"{self.kind} {self.subject}, {self.period}"
        spent = f"${self.spent_usd:.2f} of ${self.limit_usd:g}"
        if self.exhausted:
            return f"The budget {self.budget!r} ({whose}) is used up: {spent}."
        return f"The budget {self.budget!r} ({whose}) has reached {self.fraction:.0%}: {spent}."

    def shown(self, project: str) -> dict[str, Any]:
        """Return what a webhook is sent; `text` is what Slack and its like show."""
        return {
            "type": "gateway.budget_exhausted" if self.exhausted else "gateway.budget_alerted",
            "timestamp": clock.iso(self.at),
            "text": self.text,
            "data": {
                "id": self.id,
                "project": project,
                "budget": self.budget,
                "kind": self.kind,
                "subject": self.subject,
                "period": self.period,
                "fraction": self.fraction,
                "spent_usd": self.spent_usd,
                "limit_usd": self.limit_usd,
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a project's alerts are sent. Its secret is sealed in the store and never part of this noun."""

    url: str
    updated_at: datetime
