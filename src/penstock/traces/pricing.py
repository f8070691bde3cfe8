"""Prices of a home in memory: the book plus what each project set, refreshed when they change."""

import threading

import msgspec

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.traces import prices
from penstock.traces.model import SpanRecord
from penstock.traces.prices import Cost, OwnPrice, Usage
from penstock.traces.store import prices as price_store

TOPIC = "prices"
_REFRESH_SECONDS = 1.0


class PriceTable:
    """Answers what a call costs in a project without touching the database more than once a second."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._own: dict[Scope, tuple[OwnPrice, ...]] = {}
        self._revision = -1
        self._looked = float("-inf")

    def cost(self, scope: Scope, model: str | None, provider: str | None, usage: Usage) -> Cost | None:
        """Return what `usage` costs in the project `scope`, or None when nobody has a price for `model`."""
        return prices.cost(model, provider, usage, self.own(scope))

    def priced(self, scope: Scope, span: SpanRecord) -> SpanRecord:
        """Return `span` at the project's own price if it set one, else as it came or at the book's."""
        if span.kind not in ("llm", "embedding") or not span.input_tokens + span.output_tokens:
            return span
        usage = Usage(
            input=span.input_tokens,
            output=span.output_tokens,
            cached=span.cached_tokens,
            cache_write=span.cache_write_tokens,
        )
        found = None
        for model in (span.model, span.requested_model):
            if found is None and model:
                found = prices.own_cost(model, span.provider, usage, self.own(scope))
        if found is None and span.cost_usd is None:
            found = prices.cost(span.model, span.provider, usage)
        if found is None:
            return span
        return msgspec.structs.replace(span, cost_usd=found.usd, price_version=found.version)

    def own(self, scope: Scope) -> tuple[OwnPrice, ...]:
        """Return the prices the project set itself, at most a second old."""
        held = self._own.get(scope)
        if held is None or clock.monotonic() - self._looked > _REFRESH_SECONDS:
            held = self._refreshed(scope)
        return held

    def _refreshed(self, scope: Scope) -> tuple[OwnPrice, ...]:
        with self._lock:
            if clock.monotonic() - self._looked > _REFRESH_SECONDS:
                revision = self._home.revision(TOPIC)
                if revision != self._revision:
                    self._own.clear()
                    self._revision = revision
                self._looked = clock.monotonic()
            own = self._own.get(scope)
            if own is None:
                with self._home.read() as uow:
                    own = self._own[scope] = price_store.of_scope(uow.conn, scope)
            return own
