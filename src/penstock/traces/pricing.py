"""Prices of a home in memory: the book plus what each project set, refreshed when they change."""

import threading

import msgspec

from penstock.core import clock, log
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.traces import prices
from penstock.traces.model import SpanRecord
from penstock.traces.price_terms import with_finer
from penstock.traces.prices import Cost, OwnPrice, Price, Tokens, Usage
from penstock.traces.store import prices as price_store

TOPIC = "prices"
GIVEN = "given"
"""The price version of a cost that came with its span."""
_REFRESH_SECONDS = 1.0
_MAX_REMEMBERED = 20_000
_log = log.get("traces")


class _Project:
    """What is known of one project: its own prices, and the answers found so far."""

    __slots__ = ("found", "own")

    def __init__(self, own: tuple[OwnPrice, ...]) -> None:
        self.own = own
        self.found: dict[tuple[str | None, str | None], tuple[Price, str] | None] = {}


class PriceTable:
    """Answers what a call costs in a project; the database is read once per project and when prices change.

    Changes made by other processes show within about a second. The first question about a project reads its
    prices; from then on a background thread looks for changes, so that a question never waits for the database,
    and prices stay as they were while it is away.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._projects: dict[Scope, _Project] = {}
        self._revision = -1
        self._looked = float("-inf")
        self._looking = False

    def price_of(self, scope: Scope, model: str | None, provider: str | None) -> tuple[Price, str] | None:
        """Return the price of `model` at `provider` and its version, or None when nobody has one."""
        project = self._project(scope)
        key = (model, provider)
        try:
            return project.found[key]
        except KeyError:
            if len(project.found) >= _MAX_REMEMBERED:
                project.found.clear()  # callers may name any model; what is asked for often is back at once
            answer = project.found[key] = prices.price_of(model, provider, project.own)
            return answer

    def cost(self, scope: Scope, model: str | None, provider: str | None, usage: Tokens) -> Cost | None:
        """Return what `usage` costs in the project `scope`, or None when nobody has a price for `model`."""
        found = self.price_of(scope, model, provider)
        return None if found is None else Cost(prices.amount(found[0], usage), found[1])

    def priced(self, scope: Scope, span: SpanRecord) -> SpanRecord:
        """Return `span` with its cost; a cost that came with the span gives way to the project's own price only."""
        if span.kind not in ("llm", "embedding") or not span.input_tokens + span.output_tokens:
            return span
        if span.cost_usd is not None and span.price_version not in (None, GIVEN):
            return span  # priced by the gateway, which knows more classes of tokens than a span keeps
        found = self._own_price(scope, span)
        if found is None and span.cost_usd is None:
            found = self.price_of(scope, span.model, span.provider)
        if found is None:
            return span
        usage = Usage(
            input=span.input_tokens,
            output=span.output_tokens,
            cached=span.cached_tokens,
            cache_write=span.cache_write_tokens,
            reasoning=span.reasoning_tokens,
        )
        usd = prices.amount(found[0], with_finer(usage, span.finer_tokens))
        return msgspec.structs.replace(span, cost_usd=usd, price_version=found[1])

    def _own_price(self, scope: Scope, span: SpanRecord) -> tuple[Price, str] | None:
        for model in (span.model, span.requested_model):
            found = self.price_of(scope, model, span.provider)
            if found is not None and found[1].startswith("own:"):
                return found
        return None

    def own(self, scope: Scope) -> tuple[OwnPrice, ...]:
        """Return the prices the project set itself, about a second old at most."""
        return self._project(scope).own

    def refresh(self) -> None:
        """Look for changes now; raises what reading the database raises."""
        with self._lock:
            self._looked = clock.monotonic()
            revision = self._home.revision(TOPIC)
            if revision == self._revision:
                return
            with self._home.read() as uow:
                fresh = {
                    scope: _Project(price_store.of_scope(uow.conn, scope)) for scope in list(self._projects)
                }
            self._projects, self._revision = fresh, revision

    def _project(self, scope: Scope) -> _Project:
        if not self._looking and clock.monotonic() - self._looked > _REFRESH_SECONDS:
            self._looking = True
            threading.Thread(target=self._look, name="penstock-prices", daemon=True).start()
        return self._projects.get(scope) or self._first(scope)

    def _first(self, scope: Scope) -> _Project:
        with self._lock:
            held = self._projects.get(scope)
            if held is None:
                with self._home.read() as uow:
                    held = _Project(price_store.of_scope(uow.conn, scope))
                self._projects = {**self._projects, scope: held}
            return held

    def _look(self) -> None:
        try:
            self.refresh()
        except PenstockError as error:
            _log.warning("prices could not be looked up: %s", error)
        finally:
            self._looked = clock.monotonic()
            self._looking = False
