"""One coarse clock for all waiting calls, instead of a timer per call."""

import asyncio
from typing import Protocol

TICK_SECONDS = 0.25


class Ticking(Protocol):
    """Something that wants to look at the clock now and then."""

    def tick(self, now: float) -> None:
        """Look at `now` (the loop's clock, seconds); must neither block nor raise."""
        ...


class Ticker:
    """Calls `tick` of every member four times a second, and sleeps while there is none.

    Timeouts here are tens of seconds; a quarter second of slack costs nothing, while a timer per call costs
    an allocation and a heap operation each.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float = TICK_SECONDS) -> None:
        self._loop = loop
        self._seconds = seconds
        self._members: set[Ticking] = set()
        self._handle: asyncio.TimerHandle | None = None

    def add(self, member: Ticking) -> None:
        """Start ticking `member`."""
        self._members.add(member)
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._run)

    def discard(self, member: Ticking) -> None:
        """Stop ticking `member`, if it was."""
        self._members.discard(member)

    def __len__(self) -> int:
        return len(self._members)

    def _run(self) -> None:
        self._handle = None
        now = self._loop.time()
        for member in tuple(self._members):
            member.tick(now)
        if self._members:
            self._handle = self._loop.call_later(self._seconds, self._run)

    def close(self) -> None:
        """Stop for good."""
        self._members.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
