"""What costs money beside answers waits for its reservation no longer than it may."""

import asyncio

import pytest

from penstock.core.errors import LimitExceeded
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.beside import cap_of
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import Aside
from tests.gateway.limits.conftest import CALLER, Make, ask, budget, put

LONG = 600.0
"""Longer than any test may take."""


def waiting(limiter: Limiter) -> int:
    return sum(len(meter.waiting) for meter in limiter._meters.all.values())


@pytest.mark.parametrize(("setting", "own"), [(0.05, None), (LONG, 0.05)])
def test_nobody_waits_for_ever_for_a_lease_that_does_not_come(
    home: Home, actor: Actor, make: Make, setting: float, own: float | None
) -> None:
    put(home, actor, budget(10.0))
    limiter = make(wait_seconds=setting)  # without its thread nothing is ever leased
    with pytest.raises(LimitExceeded, match="in time"):
        asyncio.run(limiter.aside(CALLER, ask(1.0), Aside.RETRY, seconds=own))
    assert waiting(limiter) == 0


def test_nor_does_a_copy_under_a_cap(home: Home, actor: Actor, make: Make) -> None:
    limiter = make(wait_seconds=0.05)
    with pytest.raises(LimitExceeded, match="in time"):
        asyncio.run(limiter.within(cap_of(actor.scope, "r", 5.0), 1.0))
    assert waiting(limiter) == 0


def test_who_leaves_while_waiting_holds_nothing(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(10.0))
    limiter = make(wait_seconds=LONG)

    async def leave() -> None:
        task = asyncio.ensure_future(limiter.aside(CALLER, ask(1.0), Aside.HEDGE))
        while not waiting(limiter):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert waiting(limiter) == 0
    assert all(not meter.reserved for meter in limiter._meters.all.values())
