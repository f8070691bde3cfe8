"""A limit of calls at once with a bounded, fair queue; what does not fit is told to come back."""

import asyncio
from collections import deque

from penstock.core.errors import Unavailable

RETRY_AFTER_SECONDS = 1.0


class Overloaded(Unavailable):
    """Penstock's own limit was reached; no provider was asked."""

    code = "overloaded"


class Gate:
    """Lets `limit` calls in at once; up to `queue` more wait their turn, first come first served, for `seconds`."""

    __slots__ = ("_name", "_waiting", "active", "limit", "queue", "seconds")

    def __init__(self, name: str) -> None:
        """`name` begins the sentence of a refusal."""
        self._name = name
        self.limit = 1
        self.queue = 0
        self.seconds = 0.0
        self.active = 0
        """Calls that are in."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._waiting)

    async def enter(self, *, wait: bool = True) -> None:
        """Go in, perhaps after waiting; raises Overloaded. Whoever is in must `leave`."""
        if self.active < self.limit and not self._waiting:
            self.active += 1
            return
        if not wait or len(self._waiting) >= self.queue:
            raise self._refusal(
                "is at its limit of calls at once" + (" and its queue is full" * bool(self.queue))
            )
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self.seconds):
                await place
        except TimeoutError:
            self._give_up(place)
            raise self._refusal(f"had no room within {self.seconds:g} seconds") from None
        except BaseException:
            self._give_up(place)
            raise

    def _give_up(self, place: "asyncio.Future[None]") -> None:
        if place.done() and not place.cancelled():
            self.leave()  # our turn came at the same moment: pass it on
        elif place in self._waiting:
            self._waiting.remove(place)

    def leave(self) -> None:
        """Make room for the next."""
        self.active -= 1
        while self._waiting and self.active < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self.active += 1
                place.set_result(None)

    def _refusal(self, why: str) -> Overloaded:
        return Overloaded(f"{self._name} {why}.", retry_after=RETRY_AFTER_SECONDS)
