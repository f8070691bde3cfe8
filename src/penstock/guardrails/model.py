"""The nouns of guardrails: policies, what guards find, and what they decide. Frozen; no I/O."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from penstock.core.errors import Invalid

MAX_GUARDS = 50
MAX_SELECTORS = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TAKEN = ("check", "kinds")
"""Not names of policies: the API has other things there."""


class Stage(StrEnum):
    """What a guard looks at."""

    INPUT = "input"
    OUTPUT = "output"
    BOTH = "both"

    def covers(self, stage: "Stage") -> bool:
        """Whether a guard of this stage looks at `stage`."""
        return self in (stage, Stage.BOTH)


class Action(StrEnum):
    """What happens to what a guard finds."""

    MASK = "mask"
    """Replaced by its kind, as in `[EMAIL]`."""
    TOKENISE = "tokenise"
    """Replaced by a numbered stand-in, as in `<EMAIL_1>`, and put back where the answer names it."""
    BLOCK = "block"
    """The call is refused, a stream is cut."""
    FLAG = "flag"
    """Noted on the trace; nothing changes."""


class OnError(StrEnum):
    """What happens when a guard itself fails."""

    OPEN = "open"
    """The call goes on, flagged."""
    CLOSED = "closed"
    """The call is refused."""


class Record(StrEnum):
    """What of the found content the trace keeps."""

    NOTHING = "nothing"
    HASH = "hash"
    """A keyed hash (HMAC-SHA-256, a key per tenant): equal content can be recognised, not read."""


class Outcome(StrEnum):
    """A guard's verdict."""

    ALLOW = "allow"
    MODIFY = "modify"
    DENY = "deny"
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """One guard of a policy."""

    kind: str
    """The plug-in's name in the group `penstock.guards`."""
    name: str = ""
    """How verdicts name it; the kind when empty."""
    stage: Stage | None = None
    """None: where the kind usually looks."""
    action: Action | None = None
    """None: what the kind usually does."""
    on_error: OnError = OnError.CLOSED
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What verdicts call it."""
        return self.name or self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a version of a policy says: whom it is for, and its guards in order."""

    guards: tuple[GuardConfig, ...]
    routes: tuple[str, ...] = ("*",)
    """Patterns (`*`, `?`) of route names, as callers name models; one has to match."""
    keys: tuple[str, ...] = ("*",)
    """Patterns of key ids or key names; one has to match."""
    order: int = 100
    """Policies that hold for one call run from the lowest to the highest, then by name."""
    record: Record = Record.NOTHING
    description: str = ""

    def covers(self, route: str, key_id: str, key_name: str) -> bool:
        """Whether calls of that route by that key are guarded."""
        return any(fnmatchcase(route, pattern) for pattern in self.routes) and any(
            fnmatchcase(key_id, pattern) or fnmatchcase(key_name, pattern) for pattern in self.keys
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """An immutable version of a policy."""

    name: str
    number: int
    rules: Rules
    author: str
    created_at: datetime

    @property
    def ref(self) -> str:
        """Name and version, as verdicts cite them."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a guard decided about a call; never holds content."""

    outcome: Outcome
    guard: str
    rule: str
    policy: str
    stage: Stage
    score: float = 1.0
    count: int = 1
    hashes: tuple[str, ...] = ()
    """Keyed hashes of what was found, at most five, when the policy records them."""

    def attributes(self) -> dict[str, Any]:
        """Return it as attributes of a span's event."""
        found: dict[str, Any] = {
            "guard": self.guard,
            "rule": self.rule,
            "verdict": str(self.outcome),
            "score": round(self.score, 4),
            "policy": self.policy,
            "stage": str(self.stage),
            "count": self.count,
        }
        if self.hashes:
            found["content_hash"] = ",".join(self.hashes)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What guards said about a text that was tried."""

    allowed: bool
    text: str | None
    """What would go on; None when nothing would."""
    reason: str
    verdicts: tuple[Verdict, ...]
    policies: tuple[str, ...]
    """Name and version of the policies that held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardKind:
    """A kind of guard that is installed; of stages and actions the first is the usual one."""

    kind: str
    stages: tuple[Stage, ...]
    actions: tuple[Action, ...]
    options: str
    """What its options are, in words."""
    error: str = ""
    """Why it cannot be used."""


class Piece(NamedTuple):
    """A text of a request or an answer."""

    text: str
    role: str
    """system, user, assistant or tool."""


class ToolCall(NamedTuple):
    """A tool call in a conversation or an answer; arguments as their JSON source."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A request or an answer, free of its API family."""

    pieces: tuple[Piece, ...] = ()
    offered: tuple[str, ...] = ()
    """Names of the tools the request offers."""
    calls: tuple[ToolCall, ...] = ()
    """Tool calls in order."""
    messages: int = 0
    size: int = 0
    """Bytes of the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a guard may know of the call whose text it judges."""

    stage: Stage
    route: str = ""
    key_id: str = ""
    user: str = ""
    system: tuple[str, ...] = ()
    """The request's system prompts."""


class Hit(NamedTuple):
    """What a guard that judges whole texts or documents found."""

    rule: str
    score: float = 1.0
    start: int = 0
    end: int = 0
    """Characters that a mask replaces; 0 to 0 when the find has no place."""


def check_policy_name(name: str) -> str:
    """Return `name`; raises Invalid unless it can name a policy."""
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise Invalid(
            f"{name!r} is not a policy name.", hint="Use lower-case letters, digits, - and _, at most 63."
        )
    return name


def check_rules(rules: Rules) -> Rules:
    """Return `rules`; raises Invalid for sizes and selectors out of bounds."""
    if not 1 <= len(rules.guards) <= MAX_GUARDS:
        raise Invalid(f"A policy has 1 to {MAX_GUARDS} guards; this one has {len(rules.guards)}.")
    for what, patterns in (("routes", rules.routes), ("keys", rules.keys)):
        if not 1 <= len(patterns) <= MAX_SELECTORS or not all(0 < len(each) <= 200 for each in patterns):
            raise Invalid(
                f"{what} must be 1 to {MAX_SELECTORS} patterns of at most 200 characters.",
                hint='Use ["*"] for all.',
            )
    labels = [guard.label for guard in rules.guards]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise Invalid(f"Two guards are called {twice!r}.", hint="Give one of them another name.")
    return rules
