"""The client: `send` a request, get a response. Everything else is behind this one method."""

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from penstock.gateway.upstream.connection import Connection
from penstock.gateway.upstream.errors import SENT, ConnectFailed, Dropped, TimedOut
from penstock.gateway.upstream.pool import Pool, PoolLimits
from penstock.gateway.upstream.proxy import Proxy, proxy_for
from penstock.gateway.upstream.request import DEFAULT_TIMEOUTS, Origin, Request, Timeouts
from penstock.gateway.upstream.response import Response
from penstock.gateway.upstream.ticker import Ticker
from penstock.gateway.upstream.tls import client_context

SWEEP_SECONDS = 5.0

AddressCheck = Callable[[str, bool], None]
"""Called with a connected IP address and whether it may be private; raises when it must not be talked to."""


class Transport(Protocol):
    """The seam: whatever can carry a request to a provider."""

    async def send(self, request: Request, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Response:
        """Send `request` and return as soon as the answer's headers are there."""
        ...


class UpstreamClient:
    """A pooled HTTP/1.1 client for one event loop.

    Asks for no compression (callers set `accept-encoding: identity`), follows no redirects, and repeats a request
    only when a kept-alive connection turned out dead before a single byte of the answer came.
    """

    def __init__(
        self,
        *,
        limits: PoolLimits | None = None,
        environ: Mapping[str, str] | None = None,
        check_address: AddressCheck | None = None,
        ticker: Ticker | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits or PoolLimits()
        self._environ = os.environ if environ is None else environ
        self._check_address = check_address
        self.ticker = ticker or Ticker(self._loop)
        self._pools: dict[Origin, Pool] = {}
        self._proxies: dict[Origin, Proxy | None] = {}
        self._swept = 0.0

    async def send(self, request: Request, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Response:
        """Send `request`; return the response once its headers are there. See `errors` for what it raises."""
        pool = self._pools.get(request.origin)
        if pool is None:
            pool = self._open_pool(request.origin)
        connection = pool.take_idle()
        if connection is not None:
            try:
                return await self._exchange(pool, connection, request, timeouts)
            except Dropped:
                # The provider closed an idle connection just as we used it: nothing of an answer was
                # seen, so it did not start one. Any byte received, and the error stands.
                if connection.received:
                    raise
        connection = await pool.acquire(timeouts, fresh=connection is not None)
        return await self._exchange(pool, connection, request, timeouts)

    async def _exchange(
        self, pool: Pool, connection: Connection, request: Request, timeouts: Timeouts
    ) -> Response:
        absolute = b""
        if request.origin.scheme == "http" and (proxy := self._proxies[request.origin]) is not None:
            absolute = str(request.origin).encode()
            request = request._replace(headers=request.headers + proxy.authorization)
        self.ticker.add(connection)
        try:
            connection.start(request, absolute)
            while not connection.status:
                await connection.wait(timeouts.first_byte, "first byte")
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                error.add_note(SENT)
            self._release(pool, connection)
            raise
        return Response(connection, lambda done: self._release(pool, done), timeouts)

    def _release(self, pool: Pool, connection: Connection) -> None:
        self.ticker.discard(connection)
        pool.release(connection)
        now = self._loop.time()
        if now - self._swept > SWEEP_SECONDS:
            self._swept = now
            for each in self._pools.values():
                each.sweep(now)

    def _open_pool(self, origin: Origin) -> Pool:
        self._proxies[origin] = proxy_for(origin, self._environ)
        pool = self._pools[origin] = Pool(origin, self._limits, self._connect)
        return pool

    # -- connecting ----------------------------------------------------------------------------------------

    async def _connect(self, origin: Origin, timeouts: Timeouts) -> Connection:
        try:
            async with asyncio.timeout(timeouts.connect):
                proxy = self._proxies[origin]
                if proxy is None:
                    return await self._connect_directly(origin)
                return await self._connect_through(proxy, origin)
        except TimeoutError as error:
            raise TimedOut(f"Connecting to {origin} took too long.", phase="connect") from error
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message or str(error)
            raise ConnectFailed(
                f"The certificate of {origin} is not trusted: {reason}.",
                hint="Give the authority as options.ca_file.",
            ) from error
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise ConnectFailed(f"{origin} cannot be reached: {reason}.") from error

    async def _connect_directly(self, origin: Origin) -> Connection:
        context = client_context(origin.verify, origin.ca_file) if origin.scheme == "https" else None
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._loop),
            origin.host,
            origin.port,
            ssl=context,
            server_hostname=origin.host if context else None,
        )
        self._check_peer(origin, connection)
        return connection

    def _check_peer(self, origin: Origin, connection: Connection) -> None:
        # Checked on the connected socket, before anything is sent: a name that resolved to a public
        # address when the provider was saved may point elsewhere now.
        if self._check_address is None or connection.transport is None:
            return
        peer = connection.transport.get_extra_info("peername")
        try:
            self._check_address(peer[0], origin.allow_private)
        except BaseException:
            connection.abandon()
            raise

    async def _connect_through(self, proxy: Proxy, origin: Origin) -> Connection:
        if origin.scheme == "http":
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._loop), proxy.host, proxy.port
            )
            return connection
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        authority = f"{host}:{origin.port}".encode()
        _, tunnel = await self._loop.create_connection(
            lambda: _Tunnel(self._loop, authority, proxy.authorization), proxy.host, proxy.port
        )
        inner = Connection(self._loop)
        outer = cast(asyncio.Transport, tunnel.transport)
        context = client_context(origin.verify, origin.ca_file)
        try:
            await tunnel.ready
            secured = await self._loop.start_tls(outer, inner, context, server_hostname=origin.host)
        except BaseException:
            outer.abort()
            raise
        inner.connection_made(cast(asyncio.Transport, secured))
        return inner

    async def close(self) -> None:
        """Close idle connections and stop the ticker."""
        for pool in self._pools.values():
            pool.close()
        self.ticker.close()
        await asyncio.sleep(0)


class _Tunnel(asyncio.Protocol):
    """Asks a proxy to CONNECT, and is replaced by TLS once it agreed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, authority: bytes, authorization: bytes) -> None:
        self.ready: asyncio.Future[None] = loop.create_future()
        self.transport: asyncio.Transport | None = None
        self._ask = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (authority, authority, authorization)
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._ask)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self.ready.done() or (b"\r\n\r\n" not in self._answer and len(self._answer) < 16_384):
            return
        line = self._answer.partition(b"\r\n")[0].split(b" ", 2)
        if len(line) > 1 and line[0].startswith(b"HTTP/1.") and line[1] == b"200":
            self.ready.set_result(None)
        else:
            status = line[1].decode("ascii", "replace") if len(line) > 1 else "nothing readable"
            self.ready.set_exception(OSError(f"the proxy answered {status} to CONNECT"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or OSError("the proxy closed the connection"))
