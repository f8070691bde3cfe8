"""One worker's server: uvicorn with our way of accepting, watching and draining connections."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from penstock.core import clock, log
from penstock.core.settings import ServerSettings
from penstock.web.edge.acceptor import Acceptor, Board
from penstock.web.edge.protocol import EdgeProtocol
from penstock.web.edge.state import ACCEPTED, CONNECTIONS, DRAINING, LAG, Edge

logger = log.get("edge")
TICK_SECONDS = 0.5
CANCEL_SECONDS = 2.0
SECOND_SIGNAL_AFTER = 1.0
"""A signal that follows another sooner is the same wish (Ctrl-C reaches worker and supervisor both)."""
LOOP_SECONDS = 0.1
"""Uvicorn's own pace of looking around."""


COLLECT_AFTER = 20_000
"""Objects that came and did not go, after which Python looks for cycles among them; its own 700 are a few calls."""


def spare_collector() -> None:
    """Keep the garbage collector away from what is loaded by now; for a process that does nothing but serve.

    Configuration, keys and code stay until the end or are freed by their reference count, as is nearly all of a call.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])


def edge_of(settings: ServerSettings) -> Edge:
    """Return the limits that the settings ask for."""
    return Edge(
        header_seconds=settings.header_seconds,
        body_seconds=settings.body_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        max_header=settings.max_header_kb * 1024,
        max_connections=settings.max_connections,
        shed_lag_seconds=settings.shed_lag_ms / 1000,
        drain_seconds=settings.drain_seconds,
        drain_delay_seconds=settings.drain_delay_seconds,
    )


class EdgeServer(uvicorn.Server):
    """Serves an ASGI application on a listening socket that other processes may share."""

    def __init__(
        self, app: Any, edge: Edge, *, board: Board | None = None, on_drain: Callable[[], None] | None = None
    ) -> None:
        """`on_drain` is called when the server is about to stop taking work."""
        super().__init__(
            uvicorn.Config(
                app, interface="asgi3", loop="uvloop", http="httptools", ws="none", lifespan="on", access_log=False,
                log_config=None, server_header=False, date_header=False, proxy_headers=False,
            )
        )  # fmt: skip
        self.edge = edge
        self._board = board
        self._on_drain = on_drain
        self._acceptor: Acceptor | None = None
        self._arriving: set[asyncio.Task[Any]] = set()
        self._retiring = False
        self._asked_at = 0.0
        self._ticked_at = self._looked_at = 0.0

    # -- start ---------------------------------------------------------------------------------------------

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept."""
        assert sockets is not None and len(sockets) == 1
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self.servers = []
        connections = self.server_state.connections
        self._acceptor = Acceptor(sockets[0], self._take, lambda: len(connections), self._board)
        CONNECTIONS.watch(lambda: float(len(connections)))
        DRAINING.watch(lambda: float(self.edge.draining))
        self._looked_at = self._ticked_at = asyncio.get_running_loop().time()
        self.started = True
        self.ready()

    def ready(self) -> None:
        """Called once requests are served; for subclasses."""

    def _take(self, connection: socket.socket) -> None:
        task = asyncio.ensure_future(self._connect(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
            ACCEPTED.inc()
        except OSError as error:
            logger.info("connection lost at once", extra={"reason": error.strerror})
            connection.close()
        finally:
            if self._acceptor is not None:
                self._acceptor.arrived()

    def _protocol(self) -> EdgeProtocol:
        return EdgeProtocol(self.config, self.server_state, self.lifespan.state, edge=self.edge)

    # -- the clock -----------------------------------------------------------------------------------------

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections; returns whether to stop."""
        now = asyncio.get_running_loop().time()
        lag = max(0.0, now - self._looked_at - LOOP_SECONDS) if counter else 0.0
        self._looked_at = now
        LAG.observe(lag)
        if self.edge.shed_lag_seconds > 0:
            self.edge.shedding = lag > self.edge.shed_lag_seconds
        self.look_after(now)
        return self.should_exit

    def look_after(self, now: float) -> None:
        """Cut connections that are over time, every half second; tell the other processes how many there are."""
        if self._acceptor is not None:
            self._acceptor.publish()
        step = now - self._ticked_at
        if step < TICK_SECONDS:
            return
        self._ticked_at = now
        connections = self.server_state.connections
        self.edge.full = len(connections) >= self.edge.max_connections
        for connection in list(connections):
            cast(EdgeProtocol, connection).tick(now, step)

    # -- end -----------------------------------------------------------------------------------------------

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        """Drain; a second Ctrl-C does not wait for calls in flight."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = self.force_exit or clock.monotonic() - self._asked_at > SECOND_SIGNAL_AFTER
        elif not self.should_exit:
            self.should_exit = True
            self._asked_at = clock.monotonic()

    def retire(self, sig: int, frame: FrameType | None) -> None:
        """Drain for a successor on the same socket: stop accepting at once and leave the queue to it."""
        self._retiring = True
        self.handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Finish what was begun, within the time for draining; then end the application."""
        loop = asyncio.get_running_loop()
        self.edge.draining = True
        if self._on_drain is not None:
            self._on_drain()
        if not self._retiring:
            await self._wait(loop.time() + self.edge.drain_delay_seconds, for_calls=False)
        if self._acceptor is not None:
            self._acceptor.stop(take_rest=not self._retiring)
            self._acceptor = None
        await asyncio.gather(*self._arriving, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._wait(loop.time() + self.edge.drain_seconds, for_calls=True)
        await self._cut()
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def _wait(self, until: float, *, for_calls: bool) -> None:
        loop, state = asyncio.get_running_loop(), self.server_state
        while loop.time() < until and not self.force_exit:
            if for_calls and not state.connections and not state.tasks:
                return
            self.look_after(loop.time())
            await asyncio.sleep(LOOP_SECONDS)

    async def _cut(self) -> None:
        """End the calls that did not end by themselves."""
        tasks = list(self.server_state.tasks)
        if tasks:
            logger.warning("calls cut: the time for draining is over", extra={"calls": len(tasks)})
        for task in tasks:
            task.cancel(msg="The server is stopping.")
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
