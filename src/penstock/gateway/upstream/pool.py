"""Connections to one origin: a few idle ones, a limit, and a fair queue when it is reached."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from penstock.gateway.upstream.connection import Connection
from penstock.gateway.upstream.errors import PoolExhausted
from penstock.gateway.upstream.request import Origin, Timeouts


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections one origin may hold."""

    connections: int = 2000
    idle: int = 200
    idle_seconds: float = 20.0
    """An idle connection older than this is not reused: providers close theirs after 30 to 60 seconds."""


Connect = Callable[[Origin, Timeouts], Awaitable[Connection]]


class Pool:
    """The connections of one origin. `acquire` prefers the one used last, so that surplus ones grow old and go."""

    def __init__(self, origin: Origin, limits: PoolLimits, connect: Connect) -> None:
        self._loop = asyncio.get_running_loop()
        self.origin = origin
        self._limits = limits
        self._connect = connect
        self._idle: list[Connection] = []
        self._queue: deque[asyncio.Future[None]] = deque()
        self.open = 0
        """Connections in use or being made."""

    def take_idle(self) -> Connection | None:
        """Return a live idle connection, or None."""
        oldest = self._loop.time() - self._limits.idle_seconds
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since >= oldest:
                self.open += 1
                return connection
            self._cut(connection)
        return None

    async def acquire(self, timeouts: Timeouts, *, fresh: bool = False) -> Connection:
        """Return an idle connection, or a new one; `fresh` always makes a new one.

        Raises ConnectFailed, TimedOut, or PoolExhausted after `timeouts.pool` seconds.
        """
        if not fresh and (connection := self.take_idle()) is not None:
            return connection
        if self.open >= self._limits.connections:
            await self._queue_up(timeouts.pool)
            if not fresh and (connection := self.take_idle()) is not None:
                return connection
        self.open += 1
        try:
            return await self._connect(self.origin, timeouts)
        except BaseException:
            self._leave()
            raise

    async def _queue_up(self, seconds: float) -> None:
        place = self._loop.create_future()
        self._queue.append(place)
        try:
            async with asyncio.timeout(seconds):
                await place
        except TimeoutError as error:
            raise PoolExhausted(
                f"All {self._limits.connections} connections to {self.origin} are in use.", retry_after=1
            ) from error
        except BaseException:
            if place.done() and not place.cancelled():
                self._wake_one()  # our turn came while we were being cancelled: pass it on
            raise

    def release(self, connection: Connection) -> None:
        """Take a connection back after its exchange; cuts it unless it can be reused."""
        if connection.reusable and len(self._idle) < self._limits.idle:
            connection.rest(self._loop.time())
            self._idle.append(connection)
        else:
            connection.abandon()
            connection.error = None  # it was raised: its frames refer back to the connection
        self._leave()

    def _leave(self) -> None:
        self.open -= 1
        self._wake_one()

    def _wake_one(self) -> None:
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                return

    @staticmethod
    def _cut(connection: Connection) -> None:
        connection.complete = True
        connection.abandon()

    def sweep(self, now: float) -> None:
        """Close idle connections that are too old or were closed by the other side."""
        oldest = now - self._limits.idle_seconds
        keep = []
        for connection in self._idle:
            if connection.closed or connection.idle_since < oldest:
                self._cut(connection)
            else:
                keep.append(connection)
        self._idle = keep

    @property
    def idle(self) -> int:
        """How many connections wait to be reused."""
        return len(self._idle)

    def close(self) -> None:
        """Close the idle connections; those in use close when they are released."""
        for connection in self._idle:
            self._cut(connection)
        self._idle.clear()
        self._limits = PoolLimits(self._limits.connections, 0, 0.0)
