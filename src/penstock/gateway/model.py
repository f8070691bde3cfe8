"""Nouns of the gateway: providers, routes, targets, endpoints and token usage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

STRATEGIES = ("weighted", "fallback")
"""Strategies this version runs."""
PLANNED_STRATEGIES = ("least_latency", "least_busy", "cheapest", "sticky")
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
    """Tokens of one call. `input` counts cached and cache-writing tokens too; `output` counts reasoning too."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider; `weight` is its share in a weighted route."""

    provider: str
    model: str
    weight: float = 1.0

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """A public model name's plan: which targets, in what manner.

    `weighted` spreads calls in proportion to the weights; `fallback` takes the first target that answers.
    """

    strategy: str
    targets: tuple[Target, ...]
    retries: int = 1
    """Further attempts after the first one failed before any byte was sent on; fallback tries each target anyway."""
    timeout: float | None = None
    """Seconds to the first byte of an answer, when the provider's own limit does not suit."""

    def checked(self, name: str, providers: Mapping[str, Any]) -> "Route":
        """Return this route with its targets in a tuple; raises Invalid, saying what would be right."""
        where = f"The route {name!r}"
        if self.strategy in PLANNED_STRATEGIES:
            raise Invalid(
                f"{where} asks for the strategy {self.strategy!r}, which this version does not have.",
                hint=f"Use one of: {', '.join(STRATEGIES)}.",
            )
        if self.strategy not in STRATEGIES:
            raise Invalid(
                f"{where} has the unknown strategy {self.strategy!r}.",
                hint=did_you_mean(self.strategy, STRATEGIES),
            )
        targets = tuple(self.targets)
        if not targets:
            raise Invalid(f"{where} needs at least one target.")
        for target in targets:
            self._check_target(where, target, providers)
        if not any(target.weight > 0 for target in targets):
            raise Invalid(f"{where} needs a target with a weight above 0.")
        if not 0 <= self.retries <= 10:
            raise Invalid(f"{where} must have 0 to 10 retries.")
        if self.timeout is not None and not 0 < self.timeout <= 86_400:
            raise Invalid(f"{where} must have a timeout of more than 0 and at most 86400 seconds.")
        return Route(self.strategy, targets, self.retries, self.timeout)

    @staticmethod
    def _check_target(where: str, target: Target, providers: Mapping[str, Any]) -> None:
        if target.provider != LOCAL and target.provider not in providers:
            raise Invalid(
                f"{where} names the provider {target.provider!r}, which does not exist.",
                hint=did_you_mean(target.provider, [*providers, LOCAL]),
            )
        if not target.model or len(target.model) > 200 or not target.model.isprintable():
            raise Invalid(f"{where} has a target without a proper model name.")
        if not 0 <= target.weight < 1e6:
            raise Invalid(f"{where} has a weight that is not between 0 and a million.")


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
