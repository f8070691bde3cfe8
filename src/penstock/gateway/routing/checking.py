"""Whether a route makes sense, said in words that help."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.gateway.model import LOCAL, STICKY_BY, STRATEGIES, Arm, Breaker, Route, Shadow, Target

MAX_DEPTH = 4
"""Routes inside routes, the outermost included."""
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LIMITS: dict[str, tuple[float, float]] = {
    "retries": (0, 10),
    "timeout": (0.001, 86_400),
    "first_token_timeout": (0.001, 86_400),
    "connect_timeout": (0.001, 600),
    "idle_timeout": (0.001, 86_400),
    "hedge_after_ms": (1, 600_000),
    "max_concurrent": (1, 1_000_000),
    "queue": (0, 100_000),
    "queue_seconds": (0, 600),
}
_BREAKER_LIMITS: dict[str, tuple[float, float]] = {
    "failures": (0, 1_000_000),
    "error_rate": (0, 1),
    "min_calls": (1, 1_000_000),
    "window": (1, 3600),
    "seconds": (0.1, 3600),
    "probes": (1, 100),
}
FIXED_PARAMS = frozenset(
    {"model", "messages", "input", "prompt", "contents", "stream", "stream_options", "requests"}
)
"""Members of a request that say what is asked for, and so are no parameters."""
_SHADOW_LIMITS: dict[str, tuple[float, float]] = {
    "share": (0, 1),
    "max_in_flight": (1, 10_000),
    "usd_per_day": (0, 1e9),
}


def check_params(params: Collection[str]) -> None:
    """Raise Invalid for members of a request that no arm or route may set."""
    wrong = sorted(FIXED_PARAMS.intersection(params))
    if wrong:
        raise Invalid(
            f"{', '.join(wrong)} cannot be set by params.", hint="Parameters are such as temperature."
        )


def checked(name: str, route: Route, providers: Collection[str], others: Mapping[str, Route]) -> Route:
    """Return `route` as it is stored; raises Invalid, saying what would be right.

    `providers` are the names that exist, `others` the routes that it may go on with.
    """
    where = f"The route {name!r}"
    if route.strategy not in STRATEGIES:
        raise Invalid(
            f"{where} has the unknown strategy {route.strategy!r}.",
            hint=did_you_mean(route.strategy, STRATEGIES),
        )
    if route.sticky_by not in STICKY_BY:
        raise Invalid(
            f"{where} has the unknown sticky_by {route.sticky_by!r}.",
            hint=did_you_mean(route.sticky_by, STICKY_BY),
        )
    route = replace(route, targets=tuple(route.targets), arms=tuple(route.arms))
    if not route.targets and not route.arms:
        raise Invalid(f"{where} needs at least one target.")
    check_params(route.params)
    if route.targets:
        _check_group(where, route.targets, providers, others)
    if route.arms:
        _check_arms(where, route.arms, providers, others)
    _check_numbers(where, route, _LIMITS)
    if route.queue and route.max_concurrent is None:
        raise Invalid(
            f"{where} has a queue without max_concurrent.", hint="A queue needs a limit to wait for."
        )
    _check_breaker(where, route.breaker)
    if route.shadow is not None:
        _check_shadow(where, route.shadow, providers)
    _check_depth(name, {**others, name: route}, name, ())
    return route


def _check_arms(
    where: str, arms: tuple[Arm, ...], providers: Collection[str], others: Mapping[str, Route]
) -> None:
    names = [arm.name for arm in arms]
    for arm in arms:
        if not _ARM_NAME.fullmatch(arm.name):
            raise Invalid(
                f"{where} has the arm {arm.name!r}.", hint="Use letters, digits and . _ -, at most 63."
            )
        if names.count(arm.name) > 1:
            raise Invalid(f"{where} has two arms called {arm.name!r}.")
        _check_weight(f"{where}, arm {arm.name!r},", arm.weight)
        _check_group(f"{where}, arm {arm.name!r},", tuple(arm.targets), providers, others)
    if not any(arm.weight > 0 for arm in arms):
        raise Invalid(f"{where} needs an arm with a weight above 0.")


def _check_group(
    where: str, targets: tuple[Target, ...], providers: Collection[str], others: Mapping[str, Route]
) -> None:
    if not targets:
        raise Invalid(f"{where} needs at least one target.")
    for target in targets:
        _check_weight(where, target.weight)
        if not target.route:
            _check_place(where, target.provider, target.model, providers)
            continue
        if target.provider or target.model:
            raise Invalid(f"{where} has a target with both a route and a provider or model.")
        if target.route not in others:
            raise Invalid(
                f"{where} names the route {target.route!r}, which does not exist.",
                hint=did_you_mean(target.route, others),
            )
        if others[target.route].arms:
            raise Invalid(
                f"{where} goes on with the route {target.route!r}, which is an A/B test.",
                hint="Arms belong to the outermost route.",
            )
    if not any(target.weight > 0 for target in targets):
        raise Invalid(f"{where} needs a target with a weight above 0.")


def _check_place(where: str, provider: str, model: str, providers: Collection[str]) -> None:
    if not provider:
        raise Invalid(f"{where} has a target without a provider.")
    if provider != LOCAL and provider not in providers:
        raise Invalid(
            f"{where} names the provider {provider!r}, which does not exist.",
            hint=did_you_mean(provider, [*providers, LOCAL]),
        )
    if not model or len(model) > 200 or not model.isprintable():
        raise Invalid(f"{where} has a target without a proper model name.")


def _check_weight(where: str, weight: float) -> None:
    if not 0 <= weight < 1e6:
        raise Invalid(f"{where} has a weight that is not between 0 and a million.")


def _check_numbers(where: str, noun: object, limits: Mapping[str, tuple[float, float]]) -> None:
    for name, (low, high) in limits.items():
        value = getattr(noun, name)
        if value is not None and not low <= value <= high:
            raise Invalid(f"{where} must have {name} between {low:g} and {high:g}, not {value:g}.")


def _check_breaker(where: str, breaker: Breaker) -> None:
    _check_numbers(f"{where}, breaker,", breaker, _BREAKER_LIMITS)


def _check_shadow(where: str, shadow: Shadow, providers: Collection[str]) -> None:
    _check_place(f"{where}, shadow,", shadow.provider, shadow.model, providers)
    _check_numbers(f"{where}, shadow,", shadow, _SHADOW_LIMITS)


def _check_depth(name: str, routes: Mapping[str, Route], at: str, above: tuple[str, ...]) -> None:
    if at in above:
        raise Invalid(
            f"The route {name!r} leads back to itself: {' → '.join([*above, at])}.",
            hint="Nested routes must not form a circle.",
        )
    if len(above) >= MAX_DEPTH:
        raise Invalid(f"The route {name!r} nests routes more than {MAX_DEPTH} deep.")
    found = routes.get(at)
    for inner in sorted(found.nested()) if found is not None else ():
        _check_depth(name, routes, inner, (*above, at))
