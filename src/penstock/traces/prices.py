"""What calls cost: the list prices of the release, and prices that projects set themselves.

The book is data with a date as its version; every priced span keeps the version it was priced with, so that a
new price never rewrites history. A project's own price (`put_price`) wins over the book.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from penstock.traces.price_book import Book, book, listed, names_of
from penstock.traces.price_terms import PER, Price, Rates, Tier, Tokens, Usage, amount, check_price

FREE = Price(input=0.0)
"""The price of what bills nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call cost, and by which version of the prices."""

    usd: float
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrice:
    """A version of a price that a project set for the models whose name matches `model` (`*`, `?` are wildcards)."""

    id: str
    model: str
    provider: str
    """"" for any provider."""
    price: Price
    since: datetime | None = None
    until: datetime | None = None
    """When another version took its place, or it was dropped; None while it holds."""

    @property
    def exact(self) -> bool:
        """Whether `model` is a name and no pattern."""
        return "*" not in self.model and "?" not in self.model

    def matches(self, model: str, provider: str | None) -> bool:
        """Whether the price is meant for `model` of `provider`; a name without its date means all its dates."""
        if self.provider not in ("", provider or ""):
            return False
        wanted = self.model.lower()
        return wanted in names_of(model) if self.exact else fnmatchcase(model.lower(), wanted)


def price_of(
    model: str | None, provider: str | None, own: Iterable[OwnPrice] = ()
) -> tuple[Price, str] | None:
    """Return the price of `model` at `provider` and its version, or None when nobody has one.

    `own` are the project's prices, the most exact pattern first; then the book; a provider that bills nothing
    (models on one's own machine) costs 0.
    """
    if not model:
        return None
    for candidate in own:
        if candidate.matches(model, provider):
            return candidate.price, f"own:{candidate.id}"
    if provider in book().free_providers:
        return FREE, book().version
    found = listed(model, provider)
    return None if found is None else (found.price, book().version)


def cost(model: str | None, provider: str | None, usage: Tokens, own: Iterable[OwnPrice] = ()) -> Cost | None:
    """Return what `usage` costs, or None when nobody has a price for `model` (see `price_of`)."""
    found = price_of(model, provider, own)
    return None if found is None else Cost(amount(found[0], usage), found[1])


def own_cost(model: str, provider: str | None, usage: Tokens, own: Iterable[OwnPrice]) -> Cost | None:
    """Return what `usage` costs by the first of the project's prices that is meant for `model`, or None."""
    for candidate in own:
        if candidate.matches(model, provider):
            return Cost(amount(candidate.price, usage), f"own:{candidate.id}")
    return None


def ordered(own: Iterable[OwnPrice]) -> tuple[OwnPrice, ...]:
    """Return prices with the most exact pattern first: named provider, no wildcard, longest."""
    return tuple(sorted(own, key=lambda one: (one.provider == "", not one.exact, -len(one.model))))


__all__ = [
    "FREE",
    "PER",
    "Book",
    "Cost",
    "OwnPrice",
    "Price",
    "Rates",
    "Tier",
    "Tokens",
    "Usage",
    "amount",
    "book",
    "check_price",
    "cost",
    "ordered",
    "own_cost",
    "price_of",
]
