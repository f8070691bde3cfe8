"""What costs money beside callers' answers is reserved and booked: copies, rivals, lost attempts."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.core.metrics import REGISTRY
from penstock.core.scope import Actor
from penstock.gateway import service
from penstock.gateway.cache import service as cache
from penstock.gateway.cache.model import CachePolicy, Embedder
from penstock.gateway.limits import service as limits
from penstock.gateway.limits.leasing import TOPIC
from penstock.gateway.limits.model import Budget, Period, Spend, SubjectKind
from penstock.traces import service as traces
from penstock.traces.prices import Price, Usage
from tests.fakes.moody import MoodyUpstream, failing, hanging
from tests.gateway.conftest import Running, Waiter
from tests.gateway.test_http import call

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7}
EACH = 0.7
"""Seven tokens at a hundred thousand dollars a million: what a call reserves, and what it costs."""
Route = Callable[..., None]
Spent = Callable[[str], Spend]


@pytest.fixture
def moody() -> Iterator[MoodyUpstream]:
    with MoodyUpstream() as server:
        yield server


@pytest.fixture
def gateway(home: Home, actor: Actor, moody: MoodyUpstream, patient: None) -> Iterator[Running]:
    with home.begin() as uow:
        service.apply(uow, actor, {"providers": {"mo": {"kind": "openai", "base_url": moody.base_url}}})
        traces.set_price(uow, actor, model="*", price=Price(input=0.0, output=1e5))
    running = started(home, actor)
    yield running
    running.stop()


def started(home: Home, actor: Actor) -> Running:
    """Return a gateway that has had its first call, with which it starts."""
    running = Running(home, actor)
    running.start()
    assert call(running, CHAT | {"model": "mo/warm"})[0] == 200
    running.recorder.last()
    running.recorder.spans.clear()
    return running


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is slow, because the machine is busy, is not taken for one that is away."""
    monkeypatch.setattr("penstock.gateway.limits.leasing.AWAY_SECONDS", 60.0)


@pytest.fixture
def spent(home: Home, actor: Actor) -> Spent:
    def of(name: str) -> Spend:
        with home.read() as uow:
            return limits.spend_of(uow, actor, name)

    return of


def asked(moody: MoodyUpstream) -> dict[str, int]:
    """Return how often each model was asked, but for the call that starts a gateway."""
    return {model: count for model, count in moody.calls.items() if model != "warm"}


def budget(gateway: Running, usd: float, name: str = "cap", **more: Any) -> None:
    whose = {"kind": SubjectKind.PROJECT, "subject": "default", "period": Period.TOTAL} | more
    with gateway.home.begin() as uow:
        limits.put_budget(uow, gateway.actor, Budget(name=name, usd=usd, **whose))


def route(gateway: Running, *models: str, **more: Any) -> None:
    targets = [{"provider": "mo", "model": model} for model in models]
    made = {"targets": targets, "retries": 0, "strategy": "fallback", **more}
    gateway.configure({}, {"r": made})
    deadline = time.monotonic() + 60
    while gateway.app._limiter._rules.revision != gateway.home.revision(TOPIC):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def settled(eventually: Waiter, spent: Spent, name: str, total: float, **aside: float) -> None:
    """Wait until so much is spent of a budget, and so much of it beside callers' answers."""

    def told() -> bool:
        found = spent(name)
        return found.spent == pytest.approx(total) and found.aside == pytest.approx(aside)

    eventually(told)


SHADOW = {"provider": "mo", "model": "copy"}


@pytest.mark.parametrize("bill_key", [False, True])
def test_copies_count_on_the_projects_budget_and_the_keys_where_the_route_says_so(
    gateway: Running, eventually: Waiter, spent: Spent, bill_key: bool
) -> None:
    budget(gateway, 100)
    budget(gateway, 100, "route", kind=SubjectKind.ROUTE, subject="r")
    budget(gateway, 100, "keys", kind=SubjectKind.KEY, subject="*")
    budget(gateway, 100, "ann", kind=SubjectKind.USER, subject="ann")
    route(gateway, "a", shadow={**SHADOW, "bill_key": bill_key})
    assert call(gateway, CHAT, x_penstock_user="ann")[0] == 200
    settled(eventually, spent, "cap", 2 * EACH, copy=EACH)
    settled(eventually, spent, "route", 2 * EACH, copy=EACH)
    settled(
        eventually,
        spent,
        "keys",
        *((2 * EACH,) if bill_key else (EACH,)),
        **({"copy": EACH} if bill_key else {}),
    )
    settled(eventually, spent, "ann", EACH)
    counted = next(found for found in REGISTRY.families() if found.name.endswith("aside_cost_usd_total"))
    assert ("default", "default", "r", "mo/copy", "copy") in [labels for labels, _ in counted.series]


def test_a_copy_without_room_is_left_out_and_the_call_is_not(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 1.0)
    route(gateway, "a", shadow=SHADOW)
    moody.moods["a"] = hanging(0.5)
    assert call(gateway, CHAT)[0] == 200
    settled(eventually, spent, "cap", EACH)
    assert asked(moody) == {"a": 1}


def test_the_cap_on_copies_holds_over_processes_and_restarts(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter
) -> None:
    route(gateway, "a", shadow={**SHADOW, "usd_per_day": 2.5 * EACH})
    other = started(gateway.home, gateway.actor)
    state, rest = (each.app._watch.health.shadow(gateway.actor.scope, "r") for each in (gateway, other))
    for number in range(3):
        assert call(gateway, CHAT)[0] == call(other, CHAT)[0] == 200
        eventually(lambda: state.in_flight == rest.in_flight == 0)
        assert moody.calls["copy"] <= 2, number
    other.stop()
    again = started(gateway.home, gateway.actor)
    state = again.app._watch.health.shadow(gateway.actor.scope, "r")
    for _ in range(3):
        assert call(again, CHAT)[0] == 200
        eventually(lambda: state.in_flight == 0)
    again.stop()
    assert moody.calls["copy"] == 2


def test_copies_of_unknown_price_under_a_cap_are_left_out(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter
) -> None:
    with gateway.home.begin() as uow:
        traces.delete_price(uow, gateway.actor, model="*")
    prices, scope = gateway.app._billing._prices, gateway.actor.scope
    eventually(lambda: prices.cost(scope, "copy", "mo", Usage(input=1, output=1)) is None)
    route(gateway, "a", shadow={**SHADOW, "usd_per_day": 5.0})
    state = gateway.app._watch.health.shadow(gateway.actor.scope, "r")
    assert call(gateway, CHAT)[0] == 200
    eventually(lambda: state.skipped == 1)
    assert asked(moody) == {"a": 1}


def test_the_loser_of_a_hedged_call_is_booked(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 100)
    route(gateway, "slow", "fast", hedge_after_ms=100)
    moody.moods["slow"] = hanging(20.0)
    assert call(gateway, CHAT)[1]["x-penstock-target"] == "mo/fast"
    settled(eventually, spent, "cap", 2 * EACH, hedge=EACH)


def test_a_rival_that_is_refused_costs_nothing(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 100)
    route(gateway, "slow", "fails", hedge_after_ms=50)
    moody.moods |= {"slow": hanging(1.0), "fails": failing(500)}
    assert call(gateway, CHAT)[1]["x-penstock-target"] == "mo/slow"
    settled(eventually, spent, "cap", EACH)
    assert spent("cap").reserved <= 5, "nothing is held for it any more"


def test_no_rival_without_room_for_it(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 1.0)
    route(gateway, "slow", "fast", hedge_after_ms=50)
    moody.moods["slow"] = hanging(1.5)
    assert call(gateway, CHAT)[1]["x-penstock-target"] == "mo/slow"
    settled(eventually, spent, "cap", EACH)
    assert asked(moody) == {"slow": 1}
    assert "is reserved" in str(gateway.recorder.last().attributes["gateway.hedge_refused"])


@pytest.mark.parametrize("stream", [False, True])
def test_an_attempt_that_timed_out_is_booked_beside_the_one_that_answered(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent, stream: bool
) -> None:
    budget(gateway, 100)
    route(gateway, "late", "quick", timeout=0.3, first_token_timeout=0.3)
    moody.moods["late"] = hanging(20.0)
    assert call(gateway, CHAT | {"stream": stream})[0] == 200
    settled(eventually, spent, "cap", 2 * EACH, retry=EACH)


def test_no_further_attempt_without_room_for_it(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 1.0)
    route(gateway, "late", "quick", timeout=0.3)
    moody.moods["late"] = hanging(20.0)
    assert call(gateway, CHAT)[0] == 504
    settled(eventually, spent, "cap", EACH)
    assert asked(moody) == {"late": 1}


def test_two_attempts_lost_are_two_booked(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 100)
    route(gateway, "slow", "late", hedge_after_ms=50, timeout=0.6)
    moody.moods |= {"slow": hanging(20.0), "late": hanging(20.0)}
    assert call(gateway, CHAT)[0] == 504
    settled(eventually, spent, "cap", 2 * EACH, hedge=EACH)


def keep(gateway: Running, model: str) -> None:
    """Let the route keep answers by meaning, measured by `model`."""
    policy = CachePolicy(mode="semantic", embedder=Embedder(provider="mo", model=model))
    with gateway.home.begin() as uow:
        cache.put_policy(uow, gateway.actor, "r", policy)


def measuring(gateway: Running, eventually: Waiter, usd: float) -> None:
    """Let the cache measure texts at so many dollars a token, and wait until the gateway knows both."""
    with gateway.home.begin() as uow:
        traces.set_price(uow, gateway.actor, model="measure", price=Price(input=usd * 1e6, output=0.0))
    keep(gateway, "measure")
    prices, scope = gateway.app._billing._prices, gateway.actor.scope

    def known() -> bool:
        cost = prices.cost(scope, "measure", "mo", Usage(input=1))
        return cost is not None and cost.usd == pytest.approx(usd)

    eventually(known)
    eventually(lambda: gateway.app.cache.policy(scope, "r") is not None)


def test_measurements_of_the_cache_count_on_the_projects_budget_and_not_on_the_keys(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 100)
    budget(gateway, 100, "route", kind=SubjectKind.ROUTE, subject="r")
    budget(gateway, 100, "keys", kind=SubjectKind.KEY, subject="*")
    budget(gateway, 100, "ann", kind=SubjectKind.USER, subject="ann")
    route(gateway, "a")
    measuring(gateway, eventually, 0.1)
    assert call(gateway, CHAT, x_penstock_user="ann")[0] == 200
    cost = 5 * 0.1  # the five tokens that the fake counts
    for name in ("cap", "route"):
        settled(eventually, spent, name, EACH + cost, embedder=cost)
    for name in ("keys", "ann"):
        settled(eventually, spent, name, EACH)
    assert asked(moody) == {"measure": 1, "a": 1}


def test_without_room_for_a_measurement_nothing_is_measured_and_the_call_goes_on(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, spent: Spent
) -> None:
    budget(gateway, 10)
    route(gateway, "a")
    measuring(gateway, eventually, 1.0)
    assert call(gateway, CHAT)[1]["x-penstock-cache"] == "miss"
    settled(eventually, spent, "cap", EACH)
    assert asked(moody) == {"a": 1}
    assert call(gateway, CHAT)[1]["x-penstock-cache"] == "hit", "exact matches go on"
