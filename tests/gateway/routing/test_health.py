"""What is known of targets: peak EWMA, errors without secrets, one object whatever the configuration."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import LimitExceeded, Upstream
from penstock.core.scope import Scope
from penstock.gateway.model import Breaker as Policy
from penstock.gateway.routing.breaker import State
from penstock.gateway.routing.health import (
    DECAY_SECONDS,
    FAILED_SECONDS,
    UNKNOWN,
    Health,
    HealthRegistry,
    describe,
)
from penstock.gateway.upstream.errors import TimedOut


def test_it_jumps_up_and_comes_down_slowly() -> None:
    health = Health()
    health.observe(0.1, 100.0)
    health.observe(2.0, 100.0)
    assert health.ewma == 2.0, "a peak counts at once"
    health.observe(0.1, 100.0 + DECAY_SECONDS)
    assert abs(health.ewma - (2.0 / 2.718281828 + 0.1 * (1 - 1 / 2.718281828))) < 1e-6


@given(st.lists(st.tuples(st.floats(0.001, 60), st.floats(0, 100)), min_size=1, max_size=30))
def test_it_stays_between_the_extremes(seen: list[tuple[float, float]]) -> None:
    health, now = Health(), 1.0
    for seconds, passed in seen:
        now += passed
        health.observe(seconds, now)
        assert health.ewma >= seconds * 0.999999
    assert min(s for s, _ in seen) * 0.999999 <= health.ewma <= max(s for s, _ in seen) * 1.000001


def test_calls_in_flight_weigh_and_the_unknown_is_tried_once() -> None:
    health = Health()
    assert health.latency(5.0) == 0.0
    health.in_flight = 1
    assert health.latency(5.0) > UNKNOWN - 1, "one call finds out; others go where latency is known"
    health.observe(1.0, 5.0)
    assert health.latency(5.0) == 2.0
    assert health.latency(5000.0) < 0.01, "an unused target is worth a try again"


def test_failing_fast_is_not_attractive() -> None:
    health = Health()
    health.failed(Upstream("The prompt was 'secret'.", upstream_status=500), 0.01, 1.0)
    assert health.ewma == FAILED_SECONDS and health.errors == 1
    assert health.last_error == "upstream_error (HTTP 500)", "a provider's words may quote the caller"
    assert describe(TimedOut("The provider took too long (connect).", phase="connect")).startswith(
        "The provider"
    )
    assert describe(LimitExceeded("You, key sk-1, are limited")) == "limit_exceeded (HTTP 429)"


def test_the_registry_keeps_its_objects_and_shows_what_was_called() -> None:
    registry = HealthRegistry()
    scope, other = Scope(), Scope("default", "other")
    health = registry.health(scope, "p", "m")
    assert registry.health(scope, "p", "m") is health and registry.health(other, "p", "m") is not health
    lax, strict = Policy(failures=0, error_rate=0.0), Policy(failures=1)
    breaker = registry.breaker(scope, "p", "m", strict)
    assert registry.breaker(scope, "p", "m", Policy(failures=1)) is breaker
    assert registry.breaker(scope, "p", "m", lax) is not breaker
    assert registry.snapshot() == []
    health.requests = 1
    breaker.leave(breaker.enter(0.0), False, 0.0)
    [(owner, shown)] = registry.snapshot()
    assert (owner, shown.provider, shown.model, shown.state) == (scope, "p", "m", State.OPEN)
    gate = registry.gate(scope, "route", "r", limit=1, queue=0, seconds=1.0)
    assert registry.gate(scope, "route", "r", limit=9, queue=2, seconds=1.0) is gate and gate.limit == 9
    registry.sweep()
    assert registry.health(scope, "p", "m") is health, "it was asked for"
    registry.sweep()
    registry.sweep()
    assert registry.health(scope, "p", "m") is not health, "nothing leads there any more"
    assert registry.shadow(scope, "r") is registry.shadow(scope, "r")
