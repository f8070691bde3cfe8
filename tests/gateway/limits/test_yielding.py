"""Work that can wait leaves a part of rates and of calls at once to other calls."""

import asyncio

import pytest

from penstock.core.errors import LimitExceeded
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.store import ledger
from penstock.gateway.limits.ticket import Ticket
from tests.gateway.limits.conftest import CALLER, Make, ask, limit

pytestmark = pytest.mark.usefixtures("patient")


class Watch:
    """The clock that fills buckets, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    found = Watch()
    monkeypatch.setattr(ledger, "shared_seconds", lambda _: found.now)
    return found


def take(limiter: Limiter, tokens: int = 0) -> Ticket | None:
    """Return a ticket, or None where the limit leaves no room now."""
    try:
        return asyncio.run(limiter.admit(CALLER, ask(input_tokens=tokens)))
    except LimitExceeded:
        return None


def taken(limiter: Limiter, most: int = 50) -> int:
    """Return how many calls go until one is refused."""
    return next(count for count in range(most) if not called(limiter))


def called(limiter: Limiter, tokens: int = 0) -> bool:
    ticket = take(limiter, tokens)
    if ticket is not None:
        ticket.settle(tokens, 0, 0.0)
        limiter.lessor.flush()
    return ticket is not None


def forgetting(limiter: Limiter) -> None:
    """Let what was refused before be asked again at once."""
    for meter in limiter._meters.all.values():
        meter.denied_until = 0.0


def test_batches_take_what_is_left_over(home: Home, actor: Actor, make: Make, watch: Watch) -> None:
    limit(home, actor, requests_per_minute=20)
    calls, batch = make(started=True), make(started=True, leave=0.5)
    assert taken(batch) == 10, "half of the minute's worth stays"
    assert taken(calls) == 10, "and is there for others at once"
    watch.now += 30  # what half a minute fills is not for batches
    forgetting(batch)
    assert taken(batch) == 0
    watch.now += 15
    forgetting(batch)
    assert taken(batch) == 5
    forgetting(calls)
    assert taken(calls) == 10


def test_a_call_too_large_for_the_rest_goes_when_nobody_else_calls(
    home: Home, actor: Actor, make: Make, watch: Watch
) -> None:
    limit(home, actor, input_tokens_per_minute=1000)
    calls, batch = make(started=True), make(started=True, leave=0.5)
    assert called(calls, 100)
    calls.lessor.close()
    assert not called(batch, 800)
    watch.now += 60
    forgetting(batch)
    assert called(batch, 800)


@pytest.mark.parametrize(("cap", "most"), [(4, 2), (1, 1), (5, 2)])
def test_batches_leave_calls_at_once(home: Home, actor: Actor, make: Make, cap: int, most: int) -> None:
    limit(home, actor, concurrent=cap)
    calls, batch = make(started=True), make(started=True, leave=0.5)
    held = [ticket for _ in range(cap) if (ticket := take(batch)) is not None]
    assert len(held) == most
    others = [ticket for _ in range(cap) if (ticket := take(calls)) is not None]
    assert len(others) == cap - most
    for ticket in [*held, *others]:
        ticket.cancel()
