"""What limits tell the slices above."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAlerted(Event):
    """A budget has spent a soft fraction of its amount; once per fraction and period."""

    name: ClassVar[str] = "gateway.budget_alerted"

    budget: str
    kind: str
    subject: str
    period: str
    fraction: float
    spent_usd: float
    limit_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExhausted(Event):
    """A hard budget refused a call for the first time in a period: nothing of it is left."""

    name: ClassVar[str] = "gateway.budget_exhausted"

    budget: str
    kind: str
    subject: str
    period: str
    spent_usd: float
    limit_usd: float
