"""Limits of calls at once: fair, bounded, and nothing is lost when a waiter leaves."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from penstock.gateway.routing.gate import Gate, Overloaded


def _gate(limit: int, queue: int, seconds: float = 5.0) -> Gate:
    gate = Gate("The route 'r'")
    gate.limit, gate.queue, gate.seconds = limit, queue, seconds
    return gate


def _run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 10))  # type: ignore[arg-type]


def test_first_come_first_served_and_the_rest_is_told_to_come_back() -> None:
    async def body() -> None:
        gate, order = _gate(1, 3), []
        await gate.enter()

        async def one(name: int) -> None:
            await gate.enter()
            order.append(name)
            gate.leave()

        tasks = [asyncio.ensure_future(one(name)) for name in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="queue is full") as caught:
            await gate.enter()
        assert caught.value.status == 503 and caught.value.retry_after
        with pytest.raises(Overloaded):
            await gate.enter(wait=False)
        gate.leave()
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2] and (gate.active, gate.waiting) == (0, 0)

    _run(body)


def test_waiting_has_an_end() -> None:
    async def body() -> None:
        gate = _gate(1, 1, 0.05)
        await gate.enter()
        with pytest.raises(Overloaded, match=r"within 0\.05 seconds"):
            await gate.enter()
        assert (gate.active, gate.waiting) == (1, 0)

    _run(body)


def test_a_waiter_that_leaves_frees_its_place_even_when_its_turn_has_come() -> None:
    async def body() -> None:
        gate = _gate(1, 2)
        await gate.enter()
        first, second = asyncio.ensure_future(gate.enter()), asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        gate.leave()  # the first waiter's turn has come, but it has not run yet
        first.cancel()
        await second
        assert first.cancelled() and (gate.active, gate.waiting) == (1, 0)
        third = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        third.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert gate.waiting == 0

    _run(body)


def test_a_new_limit_holds_at_once() -> None:
    async def body() -> None:
        gate = _gate(3, 5)
        for _ in range(3):
            await gate.enter()
        gate.limit = 1
        waiter = asyncio.ensure_future(gate.enter())
        for _ in range(2):
            await asyncio.sleep(0)
            gate.leave()
        await asyncio.sleep(0)
        assert gate.active == 1 and not waiter.done()
        gate.leave()
        await waiter
        assert gate.active == 1

    _run(body)
