"""What a call may cost: the reservation, from prices and sizes alone, in microseconds."""

from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from penstock.core import log
from penstock.core.errors import PenstockError
from penstock.core.scope import Scope
from penstock.gateway.limits.model import Ask
from penstock.gateway.limits.settings import LimitsSettings
from penstock.traces import prices
from penstock.traces.prices import Cost, Usage

_log = log.get("gateway.limits")
MOST_KEPT = 20_000
_SIZES = (1_000, 1_000_000)
"""Prices per token are read at both sizes: tiered prices may be higher at the large one."""


Targets = tuple[tuple[str, str], ...]
"""(provider, model) of every target a call may go to, the provider as prices know it."""


class Pricer(Protocol):
    """Prices calls: `traces.service.PriceTable` is one."""

    def cost(self, scope: Scope, model: str | None, provider: str | None, usage: Usage) -> Cost | None:
        """Return what `usage` costs, or None when nobody has a price for `model`."""


class _Book:
    """The price list alone."""

    def cost(self, scope: Scope, model: str | None, provider: str | None, usage: Usage) -> Cost | None:  # noqa: ARG002 - a Pricer
        """Return what the list says."""
        return prices.cost(model, provider, usage)


_READ = ("cached", "cache_write", "cache_write_1h", "audio_input", "image_input")
_WRITTEN = ("reasoning", "audio_output", "image_output")


class Rates(NamedTuple):
    """The highest prices of a route's targets, in US dollars: per token read and written, and per call."""

    input: float
    output: float
    call: float


def _finer(usage: Usage, kind: str, size: int) -> Usage:
    finer: dict[str, Any] = {kind: size}
    return replace(usage, **finer)


def _reads(size: int) -> list[Usage]:
    """Return calls that read `size` tokens, of each kind."""
    plain = Usage(input=size)
    return [plain, *(_finer(plain, kind, size) for kind in _READ)]


def _writes(size: int) -> list[Usage]:
    """Return calls that read and write `size` tokens, of each kind: what is read decides the tier of both."""
    plain = Usage(input=size, output=size)
    return [plain, *(_finer(plain, kind, size) for kind in _WRITTEN)]


class Estimator:
    """Estimates calls; one per web process. The first call of a route in a process reads the project's prices."""

    def __init__(self, pricer: Pricer, settings: LimitsSettings) -> None:
        self._pricer = pricer
        self._settings = settings
        self._kept: dict[tuple[Scope, Targets], Rates | None] = {}

    def ask(self, scope: Scope, targets: Targets, *, body_bytes: int, max_output_tokens: int | None) -> Ask:
        """Return what to reserve for a call of `body_bytes` that may go to any of `targets` (provider kind, model).

        Input counts as one token per `bytes_per_token`, at most `most_input_tokens`; output as `max_output_tokens`,
        or the setting `default_output_tokens` where the call names none (give 0 for calls that write nothing). The
        price is the highest of all targets, tiers and kinds of input. `usd` is None when a target has no price.
        """
        settings = self._settings
        read = min(int(body_bytes / settings.bytes_per_token) + 1, settings.most_input_tokens)
        write = settings.default_output_tokens if max_output_tokens is None else max_output_tokens
        rates = self._rates(scope, targets)
        usd = None if rates is None else rates.call + read * rates.input + write * rates.output
        return Ask(read, write, usd)

    def _rates(self, scope: Scope, targets: Targets) -> Rates | None:
        key = scope, targets
        if key in self._kept:
            return self._kept[key]
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        try:
            found = self._highest(self._pricer, scope, targets)
        except PenstockError as error:
            _log.warning("prices cannot be read, the price list stands in for the project's own: %s", error)
            found = self._highest(_Book(), scope, targets)
        self._kept[key] = found
        return found

    def refresh(self) -> None:
        """Read the prices of all known routes again: for the lease thread, so that no call waits for it."""
        for scope, targets in list(self._kept):
            self._kept[scope, targets] = self._highest(self._pricer, scope, targets)

    @staticmethod
    def _highest(pricer: Pricer, scope: Scope, targets: Targets) -> Rates | None:
        highest = Rates(0.0, 0.0, 0.0)
        for provider, model in targets:

            def usd(usage: Usage, provider: str = provider, model: str = model) -> float | None:
                found = pricer.cost(scope, model, provider, usage)
                return None if found is None else found.usd

            each = usd(Usage())
            if each is None:
                return None
            for size in _SIZES:
                plain, *others = (usd(usage) or 0.0 for usage in _reads(size))
                written = max((usd(usage) or 0.0) - plain for usage in _writes(size))
                found = Rates((max(plain, *others) - each) / size, written / size, each)
                highest = Rates(*map(max, highest, found))
        return highest
