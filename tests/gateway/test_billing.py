"""What is booked for calls that got no answer."""

import http.client
import json
from collections.abc import Iterator

import pytest

from penstock.core.home import Home
from penstock.gateway import service
from penstock.gateway.limits import service as limits
from penstock.gateway.limits.model import Budget, Period, SubjectKind
from penstock.traces import service as traces
from penstock.traces.prices import Price
from tests.conftest import owner_of
from tests.fakes.moody import MoodyUpstream, failing, hanging, resetting
from tests.gateway.conftest import Running, Waiter
from tests.gateway.test_http import call

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7}
RESERVED = 0.7
"""Seven tokens at a hundred thousand dollars a million."""


@pytest.fixture
def moody() -> Iterator[MoodyUpstream]:
    with MoodyUpstream() as server:
        server.moods |= {"hangs": hanging(), "late": hanging(), "fails": failing(500), "resets": resetting}
        yield server


@pytest.fixture
def gateway(sqlite_home: Home, moody: MoodyUpstream) -> Iterator[Running]:
    """Routes named as what their one target does, under a budget of a hundred dollars."""
    actor = owner_of(sqlite_home)
    providers = {
        "mo": {"kind": "openai", "base_url": moody.base_url},
        "down": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"},
    }
    routes = {
        name: {"targets": [{"provider": "mo", "model": name}], "retries": 0}
        for name in ("hangs", "late", "fails", "resets")
    }
    routes["late"]["timeout"] = 0.3
    routes["down"] = {"targets": [{"provider": "down", "model": "any"}], "retries": 0}
    with sqlite_home.begin() as uow:
        service.apply(uow, actor, {"providers": providers, "routes": routes})
        traces.set_price(uow, actor, model="*", price=Price(input=0.0, output=1e5))
        whose = {"kind": SubjectKind.PROJECT, "subject": "default", "period": Period.TOTAL}
        limits.put_budget(uow, actor, Budget(name="cap", usd=100.0, **whose))
    running = Running(sqlite_home, actor)
    running.start()
    yield running
    running.stop()


def settled(gateway: Running, eventually: Waiter, spent: float) -> None:
    """Wait until so much is spent and nothing is reserved by calls."""

    def told() -> bool:
        with gateway.home.read() as uow:
            return limits.spend_of(uow, gateway.actor, "cap").spent == pytest.approx(spent)

    eventually(told)


def test_what_a_provider_refused_or_never_got_is_free(gateway: Running, eventually: Waiter) -> None:
    assert [call(gateway, CHAT | {"model": name})[0] for name in ("fails", "resets", "down")] == [502] * 3
    assert call(gateway, CHAT | {"model": "late"})[0] == 504  # booked after the others
    settled(gateway, eventually, RESERVED)


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_caller_gave_up_costs_what_was_reserved(
    gateway: Running, moody: MoodyUpstream, eventually: Waiter, stream: bool
) -> None:
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=20)
    body = json.dumps(CHAT | {"model": "hangs", "stream": stream})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {gateway.key}"})
    eventually(lambda: moody.calls["hangs"] == 1)
    connection.close()
    settled(gateway, eventually, RESERVED)
    assert gateway.app.in_flight == 0
