"""An embedder that was too slow rests; one call tries it after that; the log tells changes."""

import logging

import pytest

from penstock.core import clock
from penstock.core.errors import Unavailable, Upstream
from penstock.core.scope import Scope
from penstock.gateway.cache.model import Embedder
from penstock.gateway.cache.standing import REST_SECONDS, Standing
from penstock.gateway.upstream.errors import TimedOut

ONE = (Scope(), Embedder(provider="oa", model="one"))
OTHER = (Scope("default", "other"), Embedder(provider="oa", model="one"))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: moment[0])
    return moment


@pytest.mark.parametrize("error", [TimedOut("slow", phase="embedder"), Unavailable("asleep")])
def test_one_call_tries_after_a_rest(now: list[float], error: Unavailable) -> None:
    standing = Standing()
    assert standing.worth_asking(ONE)
    standing.failed(ONE, error)
    assert not standing.worth_asking(ONE) and standing.worth_asking(OTHER)
    now[0] += REST_SECONDS
    assert [standing.worth_asking(ONE) for _ in range(3)] == [True, False, False]
    standing.worked(ONE)
    assert all(standing.worth_asking(ONE) for _ in range(3))


def test_an_error_that_came_at_once_costs_no_rest() -> None:
    standing = Standing()
    standing.failed(ONE, Upstream("HTTP 500"))
    assert standing.worth_asking(ONE)


def test_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    standing = Standing()
    with caplog.at_level(logging.WARNING, "penstock.gateway"):
        standing.worked(ONE)
        for _ in range(3):
            standing.failed(ONE, Upstream("HTTP 500"))
        for _ in range(3):
            standing.worked(ONE)
    assert [record.message for record in caplog.records] == [
        "the cache's embedder oa/one of default fails, exact matches go on: HTTP 500",
        "the cache's embedder oa/one of default answers again",
    ]
