"""Routes from tables and from the store: every setting checked, old rows unchanged."""

from typing import Any

import msgspec
import pytest

from penstock.core.errors import Invalid
from penstock.gateway.model import Breaker, Route, Target
from penstock.gateway.routing.checking import MAX_DEPTH, checked
from penstock.gateway.tables import route_from_table

TARGETS = [{"provider": "mock", "model": "m"}]
ARM = {"name": "a", "targets": TARGETS}
SHADOW = {"provider": "mock", "model": "m"}


def _check(table: dict[str, Any], **others: Route) -> Route:
    return checked("r", route_from_table("r", table), {"mock"}, others)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"targets": TARGETS, "hedge_after": 5}, "Did you mean 'hedge_after_ms'"),
        ({"targets": TARGETS, "sticky_by": "users"}, "Did you mean 'user'"),
        ({"targets": TARGETS, "sticky_by": 5}, "sticky_by must be a string"),
        ({"targets": TARGETS, "hedge_after_ms": 0}, "hedge_after_ms between 1 and"),
        ({"targets": TARGETS, "first_token_timeout": -1}, "first_token_timeout"),
        ({"targets": TARGETS, "connect_timeout": "fast"}, "not right"),
        ({"targets": TARGETS, "queue": 5}, "queue without max_concurrent"),
        ({"targets": TARGETS, "max_concurrent": 0}, "max_concurrent"),
        ({"targets": TARGETS, "breaker": {"failure": 1}}, "Did you mean 'failures'"),
        ({"targets": TARGETS, "breaker": {"error_rate": 2}}, "error_rate between 0 and 1"),
        ({"targets": TARGETS, "breaker": 3}, "breaker must be a table"),
        ({"targets": TARGETS, "shadow": {"model": "m"}}, "shadow needs provider"),
        ({"targets": TARGETS, "shadow": {"provider": "mok", "model": "m"}}, "Did you mean 'mock'"),
        ({"targets": TARGETS, "shadow": {**SHADOW, "share": 2}}, "share between 0 and 1"),
        ({"targets": TARGETS, "shadow": {**SHADOW, "usd_a_day": 2}}, "Did you mean 'usd_per_day'"),
        ({"arms": [{"name": "a", "targets": []}]}, "at least one target"),
        ({"arms": [{**ARM, "wieght": 1}]}, "Did you mean 'weight'"),
        ({"arms": [ARM, ARM]}, "two arms called 'a'"),
        ({"arms": [{**ARM, "name": "a b"}]}, "arm 'a b'"),
        ({"arms": [{**ARM, "weight": 0}]}, "an arm with a weight above 0"),
        ({"arms": "x"}, "must be a list"),
        ({"arms": []}, "needs targets"),
        ({"targets": [{"route": "no"}]}, "names the route 'no'"),
        ({"targets": [{"route": "r"}]}, "does not exist"),
        ({"targets": [{"route": "x", "model": "m"}]}, "both a route and"),
        ({"targets": [{"provider": ""}]}, "without a provider"),
        ({"targets": [{"rout": "x"}]}, "Did you mean 'route'"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        _check(table, x=Route("weighted", (Target("mock", "m"),)))
    assert said in str(caught.value)


def test_circles_depth_and_tests_inside_are_refused() -> None:
    chain = {
        f"n{number}": Route("weighted", (Target(route=f"n{number + 1}"),)) for number in range(MAX_DEPTH)
    }
    chain[f"n{MAX_DEPTH}"] = Route("weighted", (Target("mock", "m"),))
    assert _check({"targets": [{"route": f"n{MAX_DEPTH - 1}"}]}, **chain)
    with pytest.raises(Invalid, match="deep"):
        _check({"targets": [{"route": "n0"}]}, **chain)
    with pytest.raises(Invalid, match="r → x → r"):
        _check({"targets": [{"route": "x"}]}, x=Route("weighted", (Target(route="r"),)), r=chain["n0"])
    with pytest.raises(Invalid, match="A/B test"):
        _check({"targets": [{"route": "x"}]}, x=_check({"arms": [ARM]}))


def test_rows_of_earlier_versions_load() -> None:
    old = {"strategy": "fallback", "retries": 2, "timeout": 3.0}
    row = {**old, "targets": [{"provider": "mock", "model": "m", "weight": 2.0}]}
    route = msgspec.convert(row, Route)
    assert route == Route("fallback", (Target("mock", "m", 2.0),), 2, 3.0) and route.breaker == Breaker()
    assert checked("r", route, {"mock"}, {}) == route


def test_everything_survives_the_store() -> None:
    made = _check(
        {
            "strategy": "sticky", "targets": TARGETS, "retries": 2, "timeout": 5, "first_token_timeout": 6,
            "connect_timeout": 1, "idle_timeout": 7, "sticky_by": "session", "hedge_after_ms": 800, "max_concurrent": 4,
            "queue": 2, "queue_seconds": 3, "breaker": {"failures": 3}, "shadow": {**SHADOW, "usd_per_day": 1},
            "arms": [ARM, {**ARM, "name": "b", "weight": 3}],
        }
    )  # fmt: skip
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(made))), Route) == made
    assert made.providers() == {"mock"} and made.nested() == set()
