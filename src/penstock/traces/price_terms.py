"""What a price is made of, what a call used, and the arithmetic between the two."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from penstock.core.errors import Invalid

PER = 1_000_000
"""Token prices are US dollars per this many tokens."""
MAX_TIERS = 10


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """US dollars per million tokens of a class, where that class has a price of its own."""

    cached: float | None = None
    """Input read from the provider's prompt cache; else as input."""
    cache_write: float | None = None
    """Input written into the prompt cache for its usual time (Anthropic: five minutes); else as input."""
    cache_write_1h: float | None = None
    """Input written into the cache for longer (Anthropic: one hour); else as `cache_write`."""
    audio_input: float | None = None
    """Audio tokens read; else as input."""
    image_input: float | None = None
    """Image tokens read; else as input."""
    reasoning: float | None = None
    """Tokens of hidden reasoning; else as output."""
    audio_output: float | None = None
    """Audio tokens written; else as output."""
    image_output: float | None = None
    """Image tokens written; else as output."""


class Tier(Rates, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Other prices for the whole of a call that reads more than `above` tokens; what it leaves out stays."""

    above: int
    input: float | None = None
    output: float | None = None


class Price(Rates, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The price of a model in US dollars: per million tokens of each class, per image, per call."""

    input: float
    output: float = 0.0
    image: float | None = None
    """Per image made."""
    request: float | None = None
    """Per call, whatever it holds."""
    batch: float | None = None
    """What tokens cost in a batch, as a share of this price (0.5 is half); else no less than this price."""
    tiers: tuple[Tier, ...] = ()
    """By rising `above`; the last one that the call's input exceeds holds."""

    def at(self, given: int) -> "Price":
        """Return the price of a call that reads `given` tokens: this one, or with a tier's prices in it."""
        found: Tier | None = None
        for tier in self.tiers:
            if given > tier.above:
                found = tier
        if found is None:
            return self
        changed = {name: value for name, value in _pairs(found) if value is not None and name != "above"}
        return msgspec.structs.replace(self, **changed)


def _pairs(rates: Rates) -> Iterator[tuple[str, float | None]]:
    return ((name, getattr(rates, name)) for name in rates.__struct_fields__ if name != "tiers")


class Tokens(Protocol):
    """Anything that counts the tokens of a call as `Usage` does; the finer classes of `Usage` may be missing."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call as OpenTelemetry counts them.

    `input` holds `cached`, `cache_write`, `cache_write_1h`, `audio_input` and `image_input`; `output` holds
    `reasoning`, `audio_output` and `image_output`. These parts do not overlap.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    image_input: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    images: int = 0
    """Images made, where they are counted one by one."""
    batch: bool = False
    """Whether the call was part of a provider's batch."""


FINER = ("cache_write_1h", "audio_input", "image_input", "audio_output", "image_output")
"""Classes of tokens that a span keeps apart from its columns (`SpanRecord.finer_tokens`)."""


def with_finer(usage: Usage, counts: Mapping[str, int]) -> Usage:
    """Return `usage` with the finer classes of a span in it; `usage.cache_write` held those of an hour until now."""
    known: dict[str, Any] = {name: counts[name] for name in FINER if name in counts}
    if not known:
        return usage
    return replace(usage, cache_write=usage.cache_write - known.get("cache_write_1h", 0), **known)


def amount(price: Price, usage: Tokens) -> float:
    """Return what a call costs in US dollars: every class of tokens at its own price, images, the call itself."""
    if price.tiers and usage.input > price.tiers[0].above:
        price = price.at(usage.input)
    cost, rest = price.input, usage.input
    total = 0.0
    if count := usage.cached:
        rest -= count
        total += count * (cost if price.cached is None else price.cached)
    write = cost if price.cache_write is None else price.cache_write
    if count := usage.cache_write:
        rest -= count
        total += count * write
    if count := getattr(usage, "cache_write_1h", 0):
        rest -= count
        total += count * (write if price.cache_write_1h is None else price.cache_write_1h)
    if count := getattr(usage, "audio_input", 0):
        rest -= count
        total += count * (cost if price.audio_input is None else price.audio_input)
    if count := getattr(usage, "image_input", 0):
        rest -= count
        total += count * (cost if price.image_input is None else price.image_input)
    total += max(0, rest) * cost + _written(price, usage)
    if price.batch is not None and getattr(usage, "batch", False):
        total *= price.batch
    return total / PER + _pieces(price, usage)


def _written(price: Price, usage: Tokens) -> float:
    cost, rest = price.output, usage.output
    total = 0.0
    if price.reasoning is not None and (count := getattr(usage, "reasoning", 0)):
        rest -= count
        total += count * price.reasoning
    if count := getattr(usage, "audio_output", 0):
        rest -= count
        total += count * (cost if price.audio_output is None else price.audio_output)
    if count := getattr(usage, "image_output", 0):
        rest -= count
        total += count * (cost if price.image_output is None else price.image_output)
    return total + max(0, rest) * cost


def _pieces(price: Price, usage: Tokens) -> float:
    images = 0.0 if price.image is None else price.image * getattr(usage, "images", 0)
    return images if price.request is None else images + price.request


def check_price(price: Price) -> Price:
    """Return `price`; raises Invalid for negative or absurd numbers and for tiers out of order."""
    for rates in (price, *price.tiers):
        for name, value in _pairs(rates):
            if name != "above" and value is not None and not 0 <= value <= 1e6:
                raise Invalid(
                    f"{value} is not a price ({name}).",
                    hint="Give US dollars per million tokens, 0 to 1,000,000.",
                )
    if price.batch is not None and price.batch > 1:
        raise Invalid("A batch price is a share of the usual one, 0 to 1.")
    limits = [tier.above for tier in price.tiers]
    if len(limits) > MAX_TIERS or limits != sorted(set(limits)) or (limits and limits[0] < 1):
        raise Invalid(
            f"The tiers of a price must rise: each `above` a larger number of input tokens, {MAX_TIERS} at most."
        )
    return price
