"""What the attempts of a hedged call book, in every order in which they can end."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.gateway.call import Call
from penstock.gateway.limits.model import Aside
from penstock.gateway.model import Operation
from penstock.gateway.trying import Asked, Work
from penstock.gateway.upstream.errors import UNTOLD, ConnectFailed, TimedOut

FIRST, RIVAL = (SimpleNamespace(label=label) for label in ("p/first", "p/rival"))
ANSWER = object()


class Reservation:
    """A ticket that tells what became of it."""

    def __init__(self) -> None:
        self.state = "open"

    def cancel(self) -> None:
        self.state = "cancelled"


class Books:
    """In the place of `Beside`: reserves once `allowed` is set, and writes down what was lost."""

    def __init__(self) -> None:
        self.allowed = asyncio.Event()
        self.asked = asyncio.Event()
        self.reserved: list[Reservation] = []
        self.booked: list[tuple[Any, Aside]] = []

    async def attempt(self, *_: Any, **__: Any) -> Reservation:
        self.asked.set()
        await self.allowed.wait()
        self.reserved.append(Reservation())
        return self.reserved[-1]

    def lost(self, _call: Call, target: Any, ticket: Reservation, *, kind: Aside, **_: Any) -> None:
        assert ticket.state == "open"
        ticket.state = "booked"
        self.booked.append((target, kind))


class Targets:
    """In the place of `Attempts`: each target once."""

    pause = 0.0

    def __init__(self) -> None:
        self._left = [FIRST, RIVAL]

    def take(self, _now: float) -> Any:
        return self._left.pop(0) if self._left else None

    def failed(self, _target: Any, _error: Exception) -> bool:
        return True


class Outcomes:
    """In the place of the opener: each target ends as the test says, when it says so."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.of = {target.label: loop.create_future() for target in (FIRST, RIVAL)}
        self.begun: set[str] = set()

    async def open(self, call: Call, target: Any, *_: Any) -> Any:
        self.begun.add(target.label)
        found = await self.of[target.label]
        if isinstance(found, Exception):
            call.untold = call.untold or UNTOLD in getattr(found, "__notes__", ())
            raise found
        return found


class Hedged:
    """A hedged call whose rival starts at once."""

    def __init__(self) -> None:
        self.books, self.outcomes = Books(), Outcomes()
        self.call = Call("/v1/chat/completions", "openai", {}, _nothing, _nothing)
        parts: Any = self.outcomes, self.books, self.call, SimpleNamespace(name="r")
        asked: Any = Asked(SimpleNamespace(), Operation.CHAT)  # type: ignore[arg-type]
        targets: Any = Targets()
        self.work = Work(*parts, asked, targets)
        self.task = asyncio.ensure_future(self.work.hedged(0.0))

    def end(self, target: Any, outcome: Any) -> None:
        self.outcomes.of[target.label].set_result(outcome)

    async def until_begun(self, target: Any) -> None:
        while target.label not in self.outcomes.begun:
            await asyncio.sleep(0)


async def _nothing(*_: Any) -> Any:
    return {"type": "http.disconnect"}


def timed_out() -> TimedOut:
    error = TimedOut("The provider took too long (first byte).", phase="first byte")
    error.add_note(UNTOLD)
    return error


async def lost_while_the_rival_waits() -> Hedged:
    """Return a call whose first attempt was lost before its rival had a reservation."""
    hedged = Hedged()
    await hedged.books.asked.wait()
    await hedged.until_begun(FIRST)
    hedged.end(FIRST, timed_out())
    while hedged.work.last is None:
        await asyncio.sleep(0)
    hedged.books.allowed.set()
    await hedged.until_begun(RIVAL)
    return hedged


def test_one_lost_before_the_rival_was_reserved_is_booked_when_the_rival_answers() -> None:
    async def play() -> None:
        hedged = await lost_while_the_rival_waits()
        hedged.end(RIVAL, ANSWER)
        assert await hedged.task is ANSWER
        assert hedged.books.booked == [(FIRST, Aside.HEDGE)]
        assert not hedged.call.untold, "what the call has reserved is for its answer"

    asyncio.run(play())


@pytest.mark.parametrize("untold", [False, True])
def test_one_lost_before_the_rival_was_reserved_keeps_the_calls_own_when_the_rival_fails(
    untold: bool,
) -> None:
    async def play() -> None:
        hedged = await lost_while_the_rival_waits()
        hedged.end(RIVAL, timed_out() if untold else ConnectFailed("Nobody listens."))
        with pytest.raises((TimedOut, ConnectFailed)):
            await hedged.task
        assert hedged.books.booked == ([(RIVAL, Aside.HEDGE)] if untold else [])
        assert hedged.call.untold, "the call's own reservation is booked for the first"

    asyncio.run(play())


def test_a_rival_lost_in_the_moment_of_the_answer_is_booked() -> None:
    async def play() -> None:
        hedged = Hedged()
        hedged.books.allowed.set()
        for target in (FIRST, RIVAL):
            await hedged.until_begun(target)
        hedged.end(FIRST, ANSWER)
        hedged.end(RIVAL, timed_out())
        assert await hedged.task is ANSWER
        assert hedged.books.booked == [(RIVAL, Aside.HEDGE)]
        assert not hedged.call.untold

    for _ in range(30):  # which of the two is looked at first is chance
        asyncio.run(play())
