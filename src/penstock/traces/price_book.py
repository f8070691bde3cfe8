"""The list prices that come with this release (`prices.json`), and how a model's many names lead to them."""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

from penstock.traces.price_terms import Price

_DATED = re.compile(
    r"(?:[-@](?:20\d{2}-?\d{2}-?\d{2}|\d{4}|\d{2}-20\d{2})|-latest|-preview(?:-\d{2}-\d{2,4})?|-v\d+(?::\d+)?|-\d+:\d+)$"
)
_REGION = re.compile(r"^(?:us|eu|au|jp|apac|global|us-gov)\.")
_VENDOR = re.compile(r"^(?:anthropic|openai|meta|mistral|amazon|cohere|deepseek|google)\.")
_WORDS = re.compile(r"[^a-z0-9]+")


class PriceList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of one provider as of one day."""

    provider: str
    as_of: str
    """The day (ISO 8601) on which these prices were last seen published."""
    sources: tuple[str, ...]
    """Addresses of the pages that say so."""
    models: dict[str, Price]
    note: str = ""
    batch: float | None = None
    """The batch share of all models of the list that have none of their own."""
    only: bool = False
    """Whether the prices hold at this provider alone: for models that others serve too."""
    names: tuple[str, ...] = ()
    """Other words by which such a provider is recognised."""


class Book(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price list: prices by provider and day, names that mean a listed model, providers that bill nothing."""

    version: str
    about: str
    lists: tuple[PriceList, ...]
    aliases: dict[str, str] = {}
    free_providers: tuple[str, ...] = ()


class Listed(NamedTuple):
    """A price of the book, under its name there and with the list it comes from."""

    name: str
    price: Price
    source: PriceList


@lru_cache(maxsize=1)
def book() -> Book:
    """Return the price list of this release."""
    return msgspec.json.decode(files("penstock.traces").joinpath("prices.json").read_bytes(), type=Book)


@lru_cache(maxsize=1)
def _everywhere() -> dict[str, Listed]:
    """Return the prices that hold wherever a model is served; of two for a name, the newer list's."""
    found: dict[str, Listed] = {}
    for one in sorted(book().lists, key=lambda one: one.as_of):
        if not one.only:
            found |= _entries(one)
    return found


@lru_cache(maxsize=1)
def _somewhere() -> tuple[tuple[frozenset[str], dict[str, Listed]], ...]:
    """Return, for each provider with prices of its own, the words that mean it and those prices."""
    return tuple((frozenset((one.provider, *one.names)), _entries(one)) for one in book().lists if one.only)


def _entries(one: PriceList) -> dict[str, Listed]:
    return {
        name: Listed(
            name, msgspec.structs.replace(price, batch=one.batch) if price.batch is None else price, one
        )
        for name, price in one.models.items()
    }


@lru_cache(maxsize=4096)
def names_of(model: str) -> tuple[str, ...]:
    """Return the names under which a price for `model` may stand, the most exact first, all in small letters.

    Left out one after another: a path before the name, dates and versions, Bedrock's region and vendor.
    """
    name = model.lower().strip()
    found = [*_undated(name)]
    for pattern in (None, _REGION, _VENDOR):
        shorter = name.rsplit("/", 1)[-1] if pattern is None else pattern.sub("", name)
        if shorter != name:
            name = shorter
            found += _undated(name)
    return tuple(found)


def _undated(name: str) -> Iterator[str]:
    yield name
    while (shorter := _DATED.sub("", name)) != name:
        name = shorter
        yield name


@lru_cache(maxsize=4096)
def listed(model: str, provider: str | None = None) -> Listed | None:
    """Return the book's price for `model`, or None; a provider's own prices win over the maker's."""
    aliases = book().aliases
    names = [each for name in names_of(model) for each in (name, aliases.get(name)) if each]
    words = set(_WORDS.split(f"{provider or ''} {model.rpartition('/')[0]}".lower()))
    words.add((provider or "").lower())
    for hints, entries in _somewhere():
        if hints & words:
            for name in names:
                if name in entries:
                    return entries[name]
    entries = _everywhere()
    return next((entries[name] for name in names if name in entries), None)


def everything() -> list[Listed]:
    """Return every price of the book, provider by provider."""
    found = [entry for one in book().lists for entry in _entries(one).values()]
    return sorted(found, key=lambda entry: (entry.source.provider, entry.name, entry.source.as_of))
