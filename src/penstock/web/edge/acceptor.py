"""Taking connections from a listening socket that several processes share, so that each gets its part.

Processes that share a socket are woken together, and the first takes all it can: under load one of them may end
with most of the connections, for as long as callers keep them. So each writes into a shared page how many it has, and
leaves a connection to a peer with fewer for a moment. If the peer does not come, it is taken all the same.
"""

import asyncio
import mmap
import socket
from collections.abc import Callable

from penstock.core import log

logger = log.get("edge")
YIELD_SECONDS = 0.002
"""How long a connection is left to a freer peer."""
RETRY_SECONDS = 0.1
NOBODY = -1
"""Stands in the page for a process that takes no connections."""


class Board:
    """The shared page: one machine integer per process, its open connections, or NOBODY."""

    def __init__(self, descriptor: int, slot: int) -> None:
        """Map the page behind `descriptor`; this process writes into `slot`."""
        self._view = memoryview(mmap.mmap(descriptor, 0)).cast("i")
        self._slot = slot

    def write(self, connections: int) -> None:
        """Tell the others how many connections this process has."""
        self._view[self._slot] = connections

    def has_freer_peer(self, connections: int) -> bool:
        """Whether another process takes connections and has fewer than `connections`."""
        return any(
            NOBODY < count < connections for slot, count in enumerate(self._view) if slot != self._slot
        )


class Acceptor:
    """Accepts from `listener` and hands each connection to `take`, until `stop`."""

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket], None],
        open_now: Callable[[], int],
        board: Board | None = None,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._take = take
        self._open_now = open_now
        self._board = board
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._taken = 0
        self._stopped = False
        self.publish()
        self._loop.add_reader(listener, self._ready)

    def publish(self) -> None:
        """Write the number of connections for the others."""
        self._taken = 0
        if self._board is not None:
            self._board.write(self._open_now())

    def _ready(self) -> None:
        mine = self._open_now() + self._taken
        if self._board is not None and self._board.has_freer_peer(mine):
            self._pause(YIELD_SECONDS)
        else:
            self._accept()

    def _accept(self) -> bool:
        """Take one connection; returns False when none waits."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            logger.warning("no connection accepted", extra={"reason": error.strerror})
            self._pause(RETRY_SECONDS)
            return False
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._taken += 1
        self._take(connection)
        if self._board is not None:
            self._board.write(self._open_now() + self._taken)
        return True

    def arrived(self) -> None:
        """Note that a taken connection is counted among the open ones from now on."""
        self._taken = max(0, self._taken - 1)

    def _pause(self, seconds: float) -> None:
        if self._stopped:
            return
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._timer = None
        if self._stopped:
            return
        self._accept()
        if self._timer is None:
            self._loop.add_reader(self._listener, self._ready)

    def stop(self, *, take_rest: bool) -> None:
        """Accept no more and close this process's hold on the socket.

        With `take_rest`, what waits in the queue is taken first: for the last process on the socket.
        """
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        else:
            self._loop.remove_reader(self._listener)
        while take_rest and self._accept():
            pass
        if self._board is not None:
            self._board.write(NOBODY)
        self._listener.close()
