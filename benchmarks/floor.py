"""The least that a proxy in Python costs: two protocols on uvloop and httptools that pass bytes on, and nothing else.

    python benchmarks/floor.py PORT UPSTREAM_PORT

No keys, no routes, no JSON, no timeouts, no errors worth the name: what `bare` costs beyond it is the gateway's own,
and what it costs itself no gateway on this stack can save. `benchmarks/gateway.py` measures it beside the others.
"""

import asyncio
import sys
from collections import deque

import httptools
import uvloop

HEAD = b"POST %b HTTP/1.1\r\nhost: mock\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Upstream(asyncio.Protocol):
    """A kept connection to the provider; passes the answer's bytes to whoever borrowed it."""

    def __init__(self, idle: "deque[Upstream]") -> None:
        self.idle = idle
        self.caller: Caller | None = None
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on; parsing finds the answer's end."""
        if self.caller is not None:
            self.caller.transport.write(data)
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Serve the next caller."""
        self.parser = httptools.HttpResponseParser(self)
        self.caller = None
        self.idle.append(self)


class Caller(asyncio.Protocol):
    """A connection of a client."""

    def __init__(self, port: int, idle: deque[Upstream]) -> None:
        self.port = port
        self.idle = idle
        self.parser = httptools.HttpRequestParser(self)
        self.path = b""
        self.parts: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Keep the path."""
        self.path = url

    def on_body(self, part: bytes) -> None:
        """Keep the body's next part."""
        self.parts.append(part)

    def on_message_complete(self) -> None:
        """Send the request on."""
        body = b"".join(self.parts)
        self.parts = []
        request = HEAD % (self.path, len(body)) + body
        if self.idle:
            self._send(self.idle.pop(), request)
        else:
            asyncio.ensure_future(self._connect(request))

    async def _connect(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: Upstream(self.idle), "127.0.0.1", self.port)
        self._send(upstream, request)

    def _send(self, upstream: Upstream, request: bytes) -> None:
        upstream.caller = self
        upstream.transport.write(request)


async def main(port: int, upstream: int) -> None:
    """Serve until killed."""
    idle: deque[Upstream] = deque()
    server = await asyncio.get_running_loop().create_server(
        lambda: Caller(upstream, idle), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
