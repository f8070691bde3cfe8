"""Nouns of stages: the rule of a stage, a move into it, a request that waits for approval."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from penstock.core.errors import Invalid
from penstock.core.scope import Role
from penstock.registry.model import Requirement, Stage, check_name

MOST_APPROVALS = 10


class Paper(StrEnum):
    """What a rule may want a version to have."""

    LICENCE = "licence"
    INTENDED_USE = "intended_use"
    SIGNATURE = "signature"
    SCAN = "scan"
    """Scanned, and nothing in it can run code."""
    MANIFEST = "manifest"
    """A manifest whose signature and files hold."""


class StageRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it takes to move a version into `stage`; a rule of one model comes before that of all."""

    stage: Stage
    model: str = ""
    """The model it is for; empty: every model of the project that has no rule of its own."""
    after: tuple[Stage, ...] = ()
    """The stages a version may come from; empty: any."""
    evaluations: tuple[Requirement, ...] = ()
    papers: tuple[Paper, ...] = ()
    approvals: int = 0
    """How many other people must approve."""
    role: Role = Role.MEMBER
    """The lowest role that may approve."""
    alone: bool = False
    """Whether the version that stood there before is archived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMove:
    """One entry of a version's history."""

    number: int
    stage: Stage
    previous: Stage
    actor: str
    at: datetime
    comment: str = ""
    approved_by: tuple[str, ...] = ()


class StageRequestState(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One person's yes."""

    id: str
    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequest:
    """Somebody's wish to move a version into a stage that needs approvals."""

    id: str
    model: str
    version: int
    stage: Stage
    previous: Stage
    state: StageRequestState
    comment: str
    asked_by: str
    asker_id: str
    asked_at: datetime
    approvals: tuple[Approval, ...] = field(default=())
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""

    @property
    def ref(self) -> str:
        """`name@number` of the version."""
        return f"{self.model}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Whether a version may move into a stage now, and what is missing."""

    stage: Stage
    reasons: tuple[str, ...]
    """Why not; none when it may."""
    approvals: int
    """How many other people would have to approve."""


def check_rules(rules: list[StageRule]) -> list[StageRule]:
    """Return `rules` if they can be kept together, or raise Invalid."""
    seen: set[tuple[str, Stage]] = set()
    for rule in rules:
        if rule.model:
            check_name(rule.model)
        if (rule.model, rule.stage) in seen:
            raise Invalid(f"There are two rules for {rule.model or 'all models'} in {rule.stage}.")
        seen.add((rule.model, rule.stage))
        _check_rule(rule)
    return rules


def _check_rule(rule: StageRule) -> None:
    if not 0 <= rule.approvals <= MOST_APPROVALS:
        raise Invalid(f"A stage needs between 0 and {MOST_APPROVALS} approvals, not {rule.approvals}.")
    if rule.role is Role.GATEWAY:
        raise Invalid("The role gateway cannot approve anything.", hint="Use member, admin or owner.")
    if rule.stage in rule.after:
        raise Invalid(f"A version cannot come to {rule.stage} from {rule.stage}.")
    for need in rule.evaluations:
        if not need.suite:
            raise Invalid("A required evaluation names its suite.", hint='Write {"suite": "tickets"}.')
        if need.bound not in ("value", "low", "high"):
            raise Invalid(f"The bound {need.bound!r} is not value, low or high.")
        if (need.min is not None or need.max is not None) != bool(need.metric):
            raise Invalid(
                f"The evaluation {need.suite} needs a metric together with min or max.",
                hint='Write {"suite": "tickets", "metric": "exact", "min": 0.8}.',
            )
