"""Nouns of the gateway: providers, routes, targets, endpoints and token usage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

STRATEGIES = ("weighted", "fallback", "least_latency", "least_busy", "cheapest", "sticky")
STICKY_BY = ("user", "session", "key")
LOCAL = "local"
"""The provider that is always there: models deployed on this machine."""


class Operation(StrEnum):
    """What a caller asks for; the value is the path below `/v1`, or the verb of Gemini's API."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MODERATIONS = "moderations"
    MESSAGES = "messages"
    COUNT_TOKENS = "messages/count_tokens"
    GENERATE = "generateContent"
    """Streamed as `:streamGenerateContent`."""
    GEMINI_COUNT = "countTokens"
    EMBED_CONTENT = "embedContent"
    BATCH_EMBED = "batchEmbedContents"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `input` and `output` are the sums; the finer classes are parts of them, none in two."""

    input: int = 0
    output: int = 0
    cached: int = 0
    """Input read from a prompt cache."""
    cache_write: int = 0
    """Input written into a prompt cache for its usual time."""
    reasoning: int = 0
    cache_write_1h: int = 0
    """Input written into a prompt cache for an hour."""
    audio_input: int = 0
    image_input: int = 0
    audio_output: int = 0
    image_output: int = 0

    @property
    def written(self) -> int:
        """Everything that was written into a prompt cache."""
        return self.cache_write + self.cache_write_1h


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider, or another route; `weight` is its share in a weighted route."""

    provider: str = ""
    model: str = ""
    weight: float = 1.0
    route: str = ""
    """Name of a route to go on with, instead of provider and model."""

    def __str__(self) -> str:
        return f"route {self.route}" if self.route else f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a target counts as broken. It then gets no calls for `seconds`, after which single probes decide."""

    failures: int = 10
    """Failures in a row that open it; 0 never does."""
    error_rate: float = 0.5
    """Share of failures within `window` that opens it, once there were `min_calls`; 0 never does."""
    min_calls: int = 20
    window: float = 30.0
    """Seconds."""
    seconds: float = 10.0
    """Rest before the first probe; doubles up to eightfold while probes fail."""
    probes: int = 1
    """Probes at once while half open, and how many must succeed to close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """Where copies of calls go whose answers nobody sees but the trace."""

    provider: str
    model: str
    share: float = 1.0
    """Part of the calls that is copied."""
    max_in_flight: int = 10
    """Copies at once, per web process; calls beyond it are not copied."""
    usd_per_day: float | None = None
    """What the copies of one UTC day may cost, over all processes; without it there is no such limit."""
    bill_key: bool = False
    """Whether copies count on the budgets of the caller's key too, not only on the route's, project's and tenant's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of an A/B test: a name for the trace, a share of the users, and targets of its own."""

    name: str
    targets: tuple[Target, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitArm:
    """One side of a split. What it does not set stays as the route, or the caller, has it."""

    name: str
    weight: float
    """Share of the traffic; of an arm that is a `shadow`, the share of the calls that is copied for it."""
    targets: tuple[Target, ...] = ()
    """In the place of the route's own."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Members that every request is given, whatever the caller says."""
    version: int | None = None
    """Version of the prompt."""
    shadow: bool = False
    """Its answers go to the trace alone."""
    max_in_flight: int = 10
    """Copies of a `shadow` at once, per web process."""
    usd_per_day: float | None = None
    """What the copies of a `shadow` may cost in a UTC day, over all processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How the calls of a route, or those that name a prompt by a label, are divided while a release runs."""

    release: str
    """Id of the release; hashed with what sticks, so that each release divides people anew."""
    arms: tuple[SplitArm, ...]
    """The first is the control."""
    route: str = ""
    prompt: str = ""
    prompt_id: str = ""
    label: str = ""
    phase: int = 0
    """Counts up with every change of the shares, so that no two are mixed up."""
    sticky_by: str = "user"
    """user, session, key, or call: who stays in an arm. A call without one is divided by its trace."""

    @property
    def subject(self) -> str:
        """What is divided: there is at most one split of it."""
        return f"route:{self.route}" if self.route else f"prompt:{self.prompt}:{self.label}"


class ArmOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one call in an arm. None is what cannot be said of it."""

    phase: int
    arm: str
    trace_id: str
    span_id: str
    unit: str = ""
    """Who was divided (a hash of the name); empty for a call that stands alone."""
    pair: str = ""
    """The same on a call and its copy."""
    failed: bool = False
    guarded: bool = False
    """Whether a guard had something to say."""
    latency_s: float | None = None
    first_token_s: float | None = None
    cost_usd: float | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A public model name's plan: which targets, in what manner.

    `weighted` spreads calls in proportion to the weights; `fallback` takes the first target that answers;
    `least_latency`, `least_busy` and `cheapest` take the best of the moment; `sticky` keeps a caller at one target.
    """

    strategy: str
    targets: tuple[Target, ...]
    retries: int = 1
    """Further attempts after the first one failed before any byte was sent on; fallback tries each target anyway."""
    timeout: float | None = None
    """Seconds to the first byte of an answer, when the provider's own limit does not suit."""
    first_token_timeout: float | None = None
    """Seconds to the first event of a stream, counted from the attempt's start."""
    connect_timeout: float | None = None
    idle_timeout: float | None = None
    """Longest silence inside an answer, in seconds."""
    sticky_by: str = "user"
    """Who stays where they are, in sticky routes and A/B tests: user, session or key. Without one, the key."""
    hedge_after_ms: float | None = None
    """Milliseconds without an answer after which the next target is asked as well; the first answer wins."""
    max_concurrent: int | None = None
    """Calls of this route at once, per web process."""
    queue: int = 0
    """Calls that may wait for room when `max_concurrent` is reached; more get 503."""
    queue_seconds: float = 10.0
    breaker: Breaker = Breaker()
    shadow: Shadow | None = None
    arms: tuple[Arm, ...] = ()
    """An A/B test: each caller belongs to one arm, whose targets take the place of `targets`."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Members that every request is given, whatever the caller says: `{"temperature": 0.2}`."""

    def groups(self) -> Iterator[tuple[Target, ...]]:
        """Yield each list of targets a call may be given."""
        if self.targets:
            yield self.targets
        for arm in self.arms:
            yield arm.targets

    def providers(self) -> set[str]:
        """Return the names of all providers it uses."""
        found = {target.provider for group in self.groups() for target in group if not target.route}
        return found | ({self.shadow.provider} if self.shadow is not None else set())

    def nested(self) -> set[str]:
        """Return the names of all routes it goes on with."""
        return {target.route for group in self.groups() for target in group if target.route}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A configured provider. Its key is sealed in the store and never part of this noun."""

    name: str
    kind: str
    base_url: str
    has_key: bool = False
    key_env: str = ""
    """Environment variable the key is read from, instead of a stored one."""
    options: Mapping[str, Any] = field(default_factory=dict)
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRoute:
    """A route under its public name."""

    name: str
    route: Route
    updated_at: datetime
