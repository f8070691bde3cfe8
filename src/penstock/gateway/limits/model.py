"""Nouns of limits and budgets, and their rules. Money is counted in whole nano-dollars, so that sums are exact."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

NANO = 1_000_000_000
"""Nano-dollars in a US dollar."""
MOST_USD = 1_000_000_000.0
MOST_PER_MINUTE = 1_000_000_000_000
EACH = "*"
"""As a subject: every key (user, project, route) has its own allowance."""


class SubjectKind(StrEnum):
    """What a limit or budget is for."""

    KEY = "key"
    USER = "user"
    PROJECT = "project"
    TENANT = "tenant"
    ROUTE = "route"


class Period(StrEnum):
    """When a budget starts anew: calendar days and months in UTC, or never."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class Subject(NamedTuple):
    """Who calls what: everything a limit or budget may be attached to."""

    tenant: str
    project: str
    key_id: str
    user: str = ""
    route: str = ""
    money_only: bool = False
    """Whether only budgets count it: what a call costs beside its answer is no call of the caller's."""


class Aside(StrEnum):
    """What costs money beside the answers that callers asked for."""

    COPY = "copy"
    """A copy of a call, for a second target."""
    EMBEDDER = "embedder"
    """Measuring a request for a semantic cache."""
    HEDGE = "hedge"
    """The rival of a call that was slow, or the call that the rival beat."""
    RETRY = "retry"
    """An attempt that was given up while its provider worked on it, before another one answered."""


class Ask(NamedTuple):
    """The most a call is expected to use: what is reserved before it is sent."""

    input_tokens: int
    max_output_tokens: int
    usd: float | None
    """None when no price is known for a model it may be sent to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What a subject may do in a minute and at once; None is no limit."""

    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    concurrent: int | None = None

    def checked(self) -> "RateLimits":
        """Return self; raises Invalid for a limit that is not a whole number of at least 1."""
        for name in (
            "requests_per_minute",
            "input_tokens_per_minute",
            "output_tokens_per_minute",
            "concurrent",
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_PER_MINUTE:
                raise Invalid(
                    f"{name} must be a whole number from 1, not {value!r}.",
                    hint="Leave it out for no limit; revoke the key to refuse every call.",
                    details={"param": name},
                )
        return self

    @property
    def empty(self) -> bool:
        """Whether nothing is limited."""
        return self == RateLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLimits:
    """Rate limits attached to a subject of a project."""

    id: str
    tenant: str
    project: str
    kind: SubjectKind
    subject: str
    limits: RateLimits
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """An amount of money that a subject may spend in a period."""

    name: str
    kind: SubjectKind
    subject: str
    """Key id, user, project or route; the tenant's name for the kind tenant; `*` gives each one its own allowance."""
    period: Period
    usd: float
    soft: tuple[float, ...] = (0.8,)
    """Fractions of `usd` at which an alert is published, once per period."""
    hard: bool = True
    """Whether calls are refused when it is spent; otherwise there are alerts only."""
    id: str = ""
    tenant: str = ""
    project: str = ""
    updated_at: datetime | None = None

    @property
    def nano(self) -> int:
        """The amount in nano-dollars."""
        return round(self.usd * NANO)

    def checked(self) -> "Budget":
        """Return self; raises Invalid naming what is wrong."""
        if not isinstance(self.usd, int | float) or not 0 < self.usd <= MOST_USD:
            raise Invalid(
                f"The budget {self.name!r} must be of more than 0 and at most 1,000,000,000 US dollars.",
                details={"param": "usd"},
            )
        if any(not 0 < fraction < 1 for fraction in self.soft):
            raise Invalid(
                f"The soft limits of the budget {self.name!r} must be fractions between 0 and 1.",
                hint="0.8 alerts at 80 %.",
                details={"param": "soft"},
            )
        if not 1 <= len(self.subject) <= 200 or not self.subject.isprintable():
            raise Invalid(
                f"The budget {self.name!r} needs a subject of 1 to 200 characters.",
                details={"param": "subject"},
            )
        return self


class AccountKey(NamedTuple):
    """One allowance: a rule, whose it is, and the period it is for (`slots` for calls at once)."""

    rule: str
    subject: str
    period: str


SLOTS = "slots"
"""The period of an account of calls at once: what is taken comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """The state of one budget in one period, in US dollars."""

    budget: Budget
    subject: str
    period: str
    spent: float
    reserved: float
    """Leased to processes: it may yet be spent or come back."""
    aside: Mapping[str, float] = field(default_factory=dict)
    """What of `spent` went beside the answers that callers asked for, by its kind (see `Aside`)."""

    @property
    def left(self) -> float:
        """What nobody has spent or reserved."""
        return max(0.0, self.budget.usd - self.spent - self.reserved)


def to_nano(usd: float) -> int:
    """Return US dollars as nano-dollars, rounded up: rounding never makes a call cheaper."""
    return math.ceil(round(usd * NANO, 3)) if usd > 0 else 0


def kind_of(text: str) -> SubjectKind:
    """Return the kind named `text`; raises Invalid with a suggestion."""
    try:
        return SubjectKind(text)
    except ValueError:
        raise Invalid(
            _unknown(text, "kind of subject", list(SubjectKind)), details={"param": "kind"}
        ) from None


def period_of(text: str) -> Period:
    """Return the period named `text`; raises Invalid with a suggestion."""
    try:
        return Period(text)
    except ValueError:
        raise Invalid(_unknown(text, "period", list(Period)), details={"param": "period"}) from None


def _unknown(text: str, what: str, known: Sequence[str]) -> str:
    return f"{text!r} is not a {what}: choose {', '.join(known)}. {did_you_mean(text, known)}".rstrip()
