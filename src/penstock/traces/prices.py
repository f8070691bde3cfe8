"""What calls cost: the list prices in `prices.json`, and prices that projects set themselves.

The book is data with a date as its version; every priced span keeps the version it was priced with, so that a
new price never rewrites history. A project's own price (`put_price`) wins over the book.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Protocol

import msgspec

from penstock.core.errors import Invalid

PER = 1_000_000
"""Prices are US dollars per this many tokens."""

_DATED = re.compile(
    r"(?:[-@](?:20\d{2}-?\d{2}-?\d{2}|\d{4})|-latest|-preview(?:-\d{2}-\d{2,4})?|-v\d+(?::\d+)?)$"
)
_REGION = re.compile(r"^(?:us|eu|apac|global)\.")


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per million tokens of each class; a class without a price of its own costs as input or output."""

    input: float
    output: float = 0.0
    cached: float | None = None
    """Input read from the provider's prompt cache."""
    cache_write: float | None = None
    """Input written into the provider's prompt cache."""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """A price list: model → price, names that mean a listed model, and providers that bill nothing."""

    version: str
    source: str
    models: dict[str, Price]
    aliases: dict[str, str] = {}
    free_providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call as OpenTelemetry counts them: `input` holds `cached` and `cache_write`, `output` reasoning."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0


class Tokens(Protocol):
    """Anything that counts the tokens of a call as `Usage` does."""

    @property
    def input(self) -> int:
        """Everything the model read."""

    @property
    def output(self) -> int:
        """Everything it wrote."""

    @property
    def cached(self) -> int:
        """The part of `input` read from a prompt cache."""

    @property
    def cache_write(self) -> int:
        """The part of `input` written into a prompt cache."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call cost, and by which version of the prices."""

    usd: float
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrice:
    """A price a project set for the models whose name matches `model` (`*` and `?` are wildcards)."""

    id: str
    model: str
    provider: str
    """"" for any provider."""
    price: Price

    def matches(self, model: str, provider: str | None) -> bool:
        """Whether the price is meant for `model` of `provider`."""
        return fnmatchcase(model.lower(), self.model.lower()) and self.provider in ("", provider or "")


@lru_cache(maxsize=1)
def book() -> Book:
    """Return the price list of this release."""
    return msgspec.json.decode(files("penstock.traces").joinpath("prices.json").read_bytes(), type=Book)


def _candidates(model: str) -> Iterable[str]:
    name = model.lower().strip()
    yield name
    name = name.rsplit("/", 1)[-1]
    yield name
    name = _REGION.sub("", name)
    for vendor in (
        "anthropic.",
        "openai.",
        "meta.",
        "mistral.",
        "amazon.",
        "cohere.",
        "deepseek.",
        "google.",
    ):
        name = name.removeprefix(vendor)
    yield name
    while (shorter := _DATED.sub("", name)) != name:
        name = shorter
        yield name


@lru_cache(maxsize=4096)
def _listed(model: str) -> Price | None:
    listed = book()
    for name in _candidates(model):
        found = listed.models.get(listed.aliases.get(name, name))
        if found is not None:
            return found
    return None


def cost(model: str | None, provider: str | None, usage: Tokens, own: Iterable[OwnPrice] = ()) -> Cost | None:
    """Return what `usage` costs, or None when nobody has a price for `model`.

    `own` are the project's prices (see `Prices`), the most exact pattern first; then the book; a provider that
    bills nothing (models on one's own machine) costs 0.
    """
    if not model:
        return None
    if (mine := own_cost(model, provider, usage, own)) is not None:
        return mine
    if provider in book().free_providers:
        return Cost(0.0, book().version)
    found = _listed(model)
    return None if found is None else Cost(amount(found, usage), book().version)


def own_cost(model: str, provider: str | None, usage: Tokens, own: Iterable[OwnPrice]) -> Cost | None:
    """Return what `usage` costs by the first of the project's prices that is meant for `model`, or None."""
    for candidate in own:
        if candidate.matches(model, provider):
            return Cost(amount(candidate.price, usage), f"own:{candidate.id}")
    return None


def amount(price: Price, usage: Tokens) -> float:
    """Return US dollars: fresh, cached and cache-written input and output, each at its own price."""
    cached = price.input if price.cached is None else price.cached
    written = price.input if price.cache_write is None else price.cache_write
    fresh = max(0, usage.input - usage.cached - usage.cache_write)
    total = fresh * price.input + usage.cached * cached + usage.cache_write * written
    return (total + usage.output * price.output) / PER


def check_price(price: Price) -> Price:
    """Return `price`; raises Invalid for negative or absurd numbers."""
    for value in (price.input, price.output, price.cached or 0.0, price.cache_write or 0.0):
        if not 0 <= value <= 1e6:
            raise Invalid(
                f"{value} is not a price.", hint="Give US dollars per million tokens, 0 to 1,000,000."
            )
    return price


def ordered(own: Iterable[OwnPrice]) -> tuple[OwnPrice, ...]:
    """Return prices with the most exact pattern first: named provider, no wildcard, longest."""
    return tuple(
        sorted(
            own, key=lambda one: (one.provider == "", "*" in one.model or "?" in one.model, -len(one.model))
        )
    )
