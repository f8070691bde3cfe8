"""A wall clock that jumps, forward and back: keys, budgets, breakers, calls in flight."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from penstock.core import clock, metrics
from penstock.core.auth import service as auth
from penstock.gateway.limits import service as limits
from penstock.gateway.limits.model import Budget, Period, SubjectKind
from penstock.gateway.routing.breaker import State
from penstock.traces import service as traces
from penstock.traces.prices import Price
from tests.fakes.moody import MoodyUpstream, dawdling, failing
from tests.gateway.conftest import Running
from tests.gateway.routing.conftest import Configure
from tests.gateway.test_http import call

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7}
Jump = Callable[[timedelta], None]
DAY = timedelta(days=1)
DURATION = "penstock_gateway_call_seconds"


class _Shifted:
    """The module `time`, with the wall clock set elsewhere; the monotonic clock never jumps."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.by = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.by


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Set the wall clock of everything in this process so much ahead of the real one."""
    shifted = _Shifted()
    monkeypatch.setattr(clock, "time", shifted)

    def jump(by: timedelta) -> None:
        shifted.by = int(by.total_seconds() * 1e9)

    return jump


def test_a_key_expires_by_the_wall_clock(gateway: Running, route: Configure, jump: Jump) -> None:
    route("a")
    with gateway.home.begin() as uow:
        _, secret = auth.create_key(uow, gateway.actor, name="hour", expires_in=timedelta(hours=1))
    found = []
    for hours in (0, 2, 0, -48, 2, 0):
        jump(timedelta(hours=hours))
        found.append(call(gateway, CHAT, authorization=f"Bearer {secret}")[0])
    assert found == [200, 401, 200, 200, 401, 200]


@pytest.mark.parametrize("period", [Period.DAY, Period.MONTH])
def test_a_period_s_budget_is_spent_once_however_the_clock_jumps(
    gateway: Running, route: Configure, jump: Jump, period: Period
) -> None:
    step = DAY if period is Period.DAY else 31 * DAY
    call(gateway, CHAT)  # from here on rules are watched
    with gateway.home.begin() as uow:
        traces.set_price(uow, gateway.actor, model="*", price=Price(input=0.0, output=1e5))
        kinds = {"kind": SubjectKind.PROJECT, "subject": "default", "period": period}
        limits.put_budget(uow, gateway.actor, Budget(name="cap", usd=1.0, **kinds))
    route("a")
    assert [call(gateway, CHAT)[0] for _ in range(2)] == [200, 429]
    jump(step)
    assert [call(gateway, CHAT)[0] for _ in range(2)] == [200, 429]
    for by in (timedelta(), step, timedelta()):
        jump(by)
        status, headers, answer = call(gateway, CHAT)
        assert (status, answer["error"]["code"]) == (429, "insufficient_quota")
        assert 0 < int(headers["retry-after"]) <= 31 * 86_400
    jump(-step)
    assert [call(gateway, CHAT)[0] for _ in range(2)] == [200, 429]


def test_a_breaker_rests_as_long_as_it_should(
    gateway: Running, moody: MoodyUpstream, route: Configure, jump: Jump
) -> None:
    route("a", "b", strategy="fallback", breaker={"failures": 2, "seconds": 3})
    moody.moods["a"] = failing(503)
    for _ in range(2):
        assert call(gateway, CHAT)[1]["x-penstock-attempts"] == "2"
    opened = time.monotonic()
    for by in (DAY, -DAY, timedelta()):
        jump(by)
        assert call(gateway, CHAT)[1]["x-penstock-attempts"] == "1"
    assert moody.calls["a"] == 2
    jump(-DAY)
    time.sleep(max(0.0, opened + 3.3 - time.monotonic()))
    assert call(gateway, CHAT)[1]["x-penstock-attempts"] == "2", "a probe, in spite of the clock"
    assert {State(each.state) for _, each in gateway.app._watch.health.snapshot()} >= {State.OPEN}


def test_a_call_in_flight_takes_no_negative_time(
    gateway: Running, moody: MoodyUpstream, route: Configure, jump: Jump
) -> None:
    route("a")
    moody.moods["a"] = dawdling(1.0, 1)
    before = _seconds()
    timer = threading.Timer(0.5, jump, [-DAY])
    timer.start()
    assert call(gateway, CHAT | {"stream": True})[0] == 200
    timer.join()
    span = gateway.recorder.last()
    assert span.end_ns >= span.start_ns
    assert span.ttft_ns is None or span.ttft_ns >= 0
    assert _seconds() >= before


def _seconds() -> float:
    """Return the sum of all calls' durations, as the metrics have it."""
    [family] = [each for each in metrics.REGISTRY.families() if each.name == DURATION]
    return sum(values[-1] for _, values in family.series)
