"""One keep-alive connection to a provider: parses answers, holds back when the reader is slow."""

import asyncio
from collections import deque
from typing import Any, cast

import httptools

from penstock.gateway.upstream.errors import Abandoned, BadAnswer, Dropped, TimedOut
from penstock.gateway.upstream.request import Request

MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 200
HIGH_WATER = 256 * 1024
"""Unread body bytes above which reading from the socket pauses."""

Header = tuple[bytes, bytes]


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    The pool owns it between exchanges; `Response` reads it during one. All waiting goes through `wait`,
    which one party at a time may call.
    """

    __slots__ = (
        "_buffered",
        "_chunks",
        "_deadline",
        "_framed",
        "_header_bytes",
        "_keep_alive",
        "_loop",
        "_parser",
        "_paused",
        "_phase",
        "_waiter",
        "busy",
        "closed",
        "complete",
        "error",
        "exchanges",
        "headers",
        "idle_since",
        "received",
        "status",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._phase = ""
        self._framed = False
        self._header_bytes = 0
        self._keep_alive = False
        self.busy = False
        self.closed = False
        self.complete = False
        self.received = False
        self.error: Exception | None = None
        self.status = 0
        self.headers: list[Header] = []
        self.exchanges = 0
        self.idle_since = 0.0

    # -- exchange ------------------------------------------------------------------------------------------

    def start(self, request: Request, absolute: bytes = b"") -> None:
        """Write `request`; `absolute` is put before the target when an HTTP proxy wants full URLs."""
        assert self.transport is not None
        self.busy = True
        self.complete = self.received = self._framed = False
        self.status = 0
        self.headers = []
        self._header_bytes = 0
        self.exchanges += 1
        self.transport.write(
            b"%b %b%b HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n%b"
            % (request.method, absolute, request.target, request.headers, len(request.body), request.body)
        )

    async def wait(self, seconds: float, phase: str) -> None:
        """Return when something arrived, the answer ended, or `nudge` was called.

        Raises the exchange's error, or TimedOut after `seconds` (checked by `tick`, so within a quarter second).
        """
        if self.error is not None:
            raise self.error
        self._deadline = self._loop.time() + seconds
        self._phase = phase
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None
        if self.error is not None:
            raise self.error

    def take(self) -> bytes:
        """Return all body bytes read so far, joined, and resume reading when it was paused."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._paused and self.transport is not None and not self.closed:
            self._paused = False
            self.transport.resume_reading()
        return data

    @property
    def buffered(self) -> int:
        """Body bytes read from the socket and not yet taken."""
        return self._buffered

    @property
    def reusable(self) -> bool:
        """Whether the exchange ended cleanly and the connection may carry another."""
        return (
            self.complete
            and not self.closed
            and self.error is None
            and self._framed
            and self._keep_alive
            and self.transport is not None
            and self.transport.get_write_buffer_size() == 0
        )

    def nudge(self) -> None:
        """Wake whoever waits, with nothing new."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the exchange with `error` and cut the connection."""
        if self.error is None and not self.complete:
            self.error = error
        if self.transport is not None and not self.closed:
            self.transport.abort()
        self.closed = True
        self.nudge()

    def abandon(self) -> None:
        """Cut the connection because nobody wants the rest of the answer."""
        self.fail(Abandoned("The call was given up before the provider finished."))

    def tick(self, now: float) -> None:
        """Fail the exchange when its current wait is over time."""
        if self._waiter is not None and now > self._deadline:
            self.fail(TimedOut(f"The provider took too long ({self._phase}).", phase=self._phase))

    def rest(self, now: float) -> None:
        """Mark the connection idle from `now` on; anything that arrives from here on is a fault."""
        self.busy = False
        self.idle_since = now
        self.headers = []

    # -- asyncio.Protocol ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came and wake the reader once."""
        if not self.busy or self.complete:
            self.fail(BadAnswer("The provider sent data that nobody asked for."))
            return
        self.received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(BadAnswer("The provider tried to switch protocols."))
        except httptools.HttpParserError as error:
            cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
            known = cause if isinstance(cause, BadAnswer) else None
            self.fail(known or BadAnswer("The provider's answer is not valid HTTP/1.1."))
        if self._buffered > HIGH_WATER and not self._paused and not self.complete and not self.closed:
            self._paused = True
            assert self.transport is not None
            self.transport.pause_reading()
        waiter = self._waiter
        if waiter is not None and self.status and not waiter.done():
            waiter.set_result(None)

    def eof_received(self) -> bool:
        """Let the transport close; an unframed body ends here."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Complete a body that is delimited by the close, or fail the exchange."""
        self.closed = True
        self._parser = None  # it refers back: the two would stay until the collector comes by
        if self.busy and not self.complete and self.error is None:
            if exc is None and self.status and not self._framed:
                self.complete = True
            else:
                self.error = Dropped("The provider closed the connection before its answer was complete.")
        self.nudge()

    # -- httptools -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self.complete:
            raise BadAnswer("The provider sent two answers to one request.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, within limits."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > MAX_HEADER_BYTES or len(self.headers) >= MAX_HEADERS:
            raise BadAnswer("The provider's headers are too large.")
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the status; interim answers (1xx) are forgotten."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers = []
            return
        self.status = status
        for name, value in self.headers:
            if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
                self._framed = True
        if status in (204, 304):
            self._framed = True

    def on_body(self, data: bytes) -> None:
        """Queue a piece of the body."""
        self._chunks.append(data)
        self._buffered += len(data)

    def on_message_complete(self) -> None:
        """Note the end of the answer."""
        if self.status:
            self.complete = True
            # Asked here because the parser forgets it as soon as the next message may begin.
            self._keep_alive = bool(self._parser.should_keep_alive())
