"""Building live routes from stored ones: strategies, nested routes, arms, shadows, limits."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec

from penstock.core import clock, log
from penstock.core.scope import Scope
from penstock.gateway.model import Breaker, NamedRoute, Route, Shadow, Split, SplitArm, Target
from penstock.gateway.routing.checking import MAX_DEPTH
from penstock.gateway.routing.gate import Gate
from penstock.gateway.routing.health import ANY_MODEL, HealthRegistry
from penstock.gateway.routing.live import (
    Branch,
    LiveArm,
    LiveProvider,
    LiveRoute,
    LiveShadow,
    LiveSide,
    LiveSplit,
    LiveTarget,
    Node,
    Tree,
)
from penstock.gateway.routing.picker import Least, Ordered, Picker, Sticky, Weighted
from penstock.traces import prices

_log = log.get("gateway")
NEVER_BREAKS = Breaker(failures=0, error_rate=0.0)
_A_MILLION_EACH = prices.Usage(input=prices.PER, output=prices.PER)

Price = Callable[[str, str], float | None]
"""(provider, model) → US dollars for a million tokens in and a million out, or None when unknown."""


def list_price(provider: str, model: str) -> float | None:
    """Return the list price of a million tokens in and a million out."""
    found = prices.cost(model, provider, _A_MILLION_EACH)
    return None if found is None else found.usd


def target_at(
    provider: LiveProvider,
    model: str,
    health: HealthRegistry,
    *,
    key: str = "",
    route: Route | None = None,
) -> LiveTarget:
    """Return `model` at `provider` as a target with the route's limits; `key` is its name in the registry."""
    label = f"{provider.name}/{model}"
    timeouts, first_token, policy = provider.timeouts, provider.timeouts.idle, NEVER_BREAKS
    if route is not None:
        timeouts = replace(
            timeouts,
            connect=route.connect_timeout or timeouts.connect,
            first_byte=route.timeout or timeouts.first_byte,
            idle=route.idle_timeout or timeouts.idle,
        )
        first_token, policy = route.first_token_timeout or timeouts.idle, route.breaker
    known = key or model
    return LiveTarget(
        provider,
        model,
        label if label.isascii() and label.isprintable() else provider.name,
        timeouts,
        first_token,
        health.health(provider.scope, provider.name, known),
        health.breaker(provider.scope, provider.name, known, policy),
    )


def direct(provider: LiveProvider, model: str, health: HealthRegistry) -> LiveRoute:
    """Return an ad-hoc route for a model named by the caller.

    Callers choose such names freely, so all of a provider's share one health (see `ANY_MODEL`), without a breaker.
    """
    picker = Ordered([target_at(provider, model, health, key=ANY_MODEL)])
    return LiveRoute("", "fallback", picker, 2, priced=((provider.name, model),))


@dataclass(slots=True)
class RouteBuilder:
    """Builds the routes of one project."""

    scope: Scope
    providers: Mapping[str, LiveProvider]
    named: Mapping[str, NamedRoute]
    """Every stored route the project sees, by name."""
    health: HealthRegistry
    price: Price = list_price

    def build(self, name: str) -> LiveRoute | None:
        """Return the route `name`, or None (and a line in the log) when nothing of it can be used."""
        stored = self.named[name]
        route = stored.route
        picker = self._leaves(self._picker(name, route, route.targets, ()))
        arms = [
            (LiveArm(arm.name, found), arm.weight)
            for arm in route.arms
            if (found := self._leaves(self._picker(name, route, arm.targets, ()))) is not None
        ]
        if picker is None and not arms:
            _log.error("route %s has no usable target", name)
            return None
        if picker is None:
            picker = arms[0][0].picker
        every = (picker, *(arm.picker for arm, _ in arms))
        width = max(len(found.items) for found in every)
        attempts = 1 + route.retries
        if route.strategy == "fallback":
            attempts = max(attempts, width)
        return LiveRoute(
            name,
            route.strategy,
            picker,
            attempts,
            clock.to_ns(stored.updated_at) // 1_000_000_000,
            sticky_by=route.sticky_by if arms or self._sticks(name, ()) else "",
            hedge_after=None if route.hedge_after_ms is None else route.hedge_after_ms / 1000,
            gate=self._gate(name, route),
            shadow=self._shadow(name, route),
            arms=Sticky(arms, [f"{name}\0{arm.name}" for arm, _ in arms]) if arms else None,
            priced=tuple(
                dict.fromkeys((each.provider.name, each.model) for found in every for each in found.items)
            ),
            members=raw_members(route.params),
        )

    def divided(self, live: LiveRoute, split: Split) -> LiveRoute:
        """Return a built route whose calls a release divides; without a usable control, the route as it is."""
        sides: list[tuple[LiveSide, float]] = []
        shadow: LiveShadow | None = None
        for arm in split.arms:
            if arm.shadow:
                shadow = self._copied(live, split, arm)
                continue
            route = self._armed(live, arm) if arm.targets else live
            if route is None:
                _log.error("the arm %s of the release %s has no usable target", arm.name, split.release)
                return live
            sides.append((LiveSide(arm.name, route, raw_members(arm.params), None), arm.weight))
        if shadow is not None:
            sides = [
                (side._replace(route=replace(side.route or live, shadow=shadow)), w) for side, w in sides
            ]
        return replace(live, split=side_picker(self.scope, split, sides, copies=shadow))

    def _armed(self, live: LiveRoute, arm: SplitArm) -> LiveRoute | None:
        stored = self.named[live.name]
        route = replace(stored.route, targets=arm.targets, arms=(), shadow=None)
        named = {**self.named, live.name: replace(stored, route=route)}
        return RouteBuilder(self.scope, self.providers, named, self.health, self.price).build(live.name)

    def prompt_split(self, split: Split) -> LiveSplit:
        """Return how a release divides the calls that name a prompt."""
        sides = [
            (LiveSide(arm.name, None, {}, arm.version), arm.weight) for arm in split.arms if not arm.shadow
        ]
        shadow = next((self._copies(split, arm, None) for arm in split.arms if arm.shadow), None)
        return side_picker(self.scope, split, sides, copies=shadow)

    def _copied(self, live: LiveRoute, split: Split, arm: SplitArm) -> LiveShadow | None:
        """Return where a route's copies go; without targets of its own, where the calls go."""
        if not arm.targets:
            return self._copies(split, arm, None)
        plain = replace(
            self.named[live.name], route=replace(self.named[live.name].route, breaker=NEVER_BREAKS)
        )
        builder = replace(self, named={**self.named, live.name: plain})
        armed = builder._armed(live, arm)
        if armed is None:
            _log.error("the arm %s of the release %s has no usable target", arm.name, split.release)
            return None
        return self._copies(split, arm, armed.picker)

    def _copies(self, split: Split, arm: SplitArm, picker: Picker[LiveTarget] | None) -> LiveShadow:
        limits = Shadow(
            provider="",
            model="",
            share=arm.weight,
            max_in_flight=arm.max_in_flight,
            usd_per_day=arm.usd_per_day,
        )
        state = self.health.shadow(self.scope, f"{split.subject}\0{split.release}")
        return LiveShadow(picker, limits, state, arm.name, raw_members(arm.params), arm.version)

    def _gate(self, name: str, route: Route) -> Gate | None:
        if route.max_concurrent is None:
            return None
        limit, queue, seconds = route.max_concurrent, route.queue, route.queue_seconds
        return self.health.gate(self.scope, "route", name, limit=limit, queue=queue, seconds=seconds)

    def _shadow(self, name: str, route: Route) -> LiveShadow | None:
        if route.shadow is None or route.shadow.provider not in self.providers:
            return None
        provider, plain = self.providers[route.shadow.provider], replace(route, breaker=NEVER_BREAKS)
        target = target_at(provider, route.shadow.model, self.health, route=plain)
        return LiveShadow(Ordered([target]), route.shadow, self.health.shadow(self.scope, name))

    def _sticks(self, name: str, above: tuple[str, ...]) -> bool:
        """Return whether the route, or one inside it, is sticky."""
        if name not in self.named or name in above:
            return False
        route = self.named[name].route
        return route.strategy == "sticky" or any(
            self._sticks(inner, (*above, name)) for inner in route.nested()
        )

    def _picker(
        self, name: str, route: Route, group: tuple[Target, ...], above: tuple[str, ...]
    ) -> Picker[Node] | None:
        found = [
            (node, target.weight)
            for target in group
            if (node := self._node(target, route, (*above, name))) is not None
        ]
        if not any(weight > 0 for _, weight in found):
            return None
        if route.strategy == "fallback":
            return Ordered([node for node, _ in found])
        if route.strategy == "cheapest":
            return Ordered(sorted((node for node, weight in found if weight > 0), key=self._price))
        if route.strategy == "least_latency":
            return Least(found, self._latency)
        if route.strategy == "least_busy":
            return Least(found, _busy)
        if route.strategy == "sticky":
            return Sticky(found, _unique([name_of(node) for node, _ in found]))
        return Weighted(found)

    def _node(self, target: Target, route: Route, above: tuple[str, ...]) -> Node | None:
        if not target.route:
            provider = self.providers.get(target.provider)
            return None if provider is None else target_at(provider, target.model, self.health, route=route)
        if target.route not in self.named or target.route in above or len(above) >= MAX_DEPTH:
            _log.error("route %s cannot go on with route %s", above[-1], target.route)
            return None
        inner = self.named[target.route].route
        picker = self._picker(target.route, inner, inner.targets, above)
        return None if picker is None else Branch(target.route, picker)

    def _price(self, node: Node) -> float:
        if isinstance(node, Branch):
            return min(map(self._price, node.picker.items))
        price = self.price(node.provider.name, node.model)
        return math.inf if price is None else price

    def _latency(self, node: Node) -> float:
        if isinstance(node, Branch):
            return min(map(self._latency, node.picker.items))
        return node.health.latency(self.health.monotonic())

    @staticmethod
    def _leaves(picker: Picker[Node] | None) -> Picker[LiveTarget] | None:
        """Return a picker of targets; one over targets alone is used as it is."""
        if picker is None or not all(isinstance(node, LiveTarget) for node in picker.items):
            return None if picker is None else Tree(picker)
        return cast("Picker[LiveTarget]", picker)


def raw_members(params: Mapping[str, Any]) -> Mapping[str, msgspec.Raw]:
    """Return parameters as members of a request."""
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in params.items()}


def side_picker(
    scope: Scope, split: Split, sides: list[tuple[LiveSide, float]], *, copies: LiveShadow | None = None
) -> LiveSplit:
    """Return how a release divides calls between `sides` (arm, weight)."""
    names = [f"{split.release}\0{side.name}" for side, _ in sides]
    return LiveSplit(scope, split.release, split.phase, split.sticky_by, Sticky(sides, names), copies)


def _busy(node: Node) -> float:
    if isinstance(node, Branch):
        return sum(map(_busy, node.picker.items))
    return float(node.health.in_flight)


def name_of(node: Node) -> str:
    """Return what a node is called in hashes."""
    return f"route:{node.name}" if isinstance(node, Branch) else f"{node.provider.name}/{node.model}"


def _unique(names: list[str]) -> list[str]:
    return [f"{name}#{names[:index].count(name)}" for index, name in enumerate(names)]
