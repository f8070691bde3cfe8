"""One request and its answer, as the application sees them: the lean twin of uvicorn's RequestResponseCycle.

It has that class's attributes, so that uvicorn's protocol can work with it, and costs a third: no event object, no
regular expressions over our own headers, and an answer's head goes out together with the first piece of its body.
"""

import asyncio
import http
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

from penstock.core import log

logger = log.get("edge")
Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}
_LF, _CR, _COLON = b"\n\r:"
"""As numbers: looking for a byte string, Python first makes and drops an error that it is no number."""
_FAILED = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"21"),
    (b"connection", b"close"),
]


def _nothing() -> None:
    """Stand in for the connection once the application has ended."""


class Exchange:
    """`receive` and `send` of one request (ASGI 3, HTTP)."""

    __slots__ = (
        "_chunked", "_flow", "_head", "_left", "_loop", "_news", "_on_response", "_transport", "_waiter",
        "_waiting_for_continue", "body", "disconnected", "keep_alive", "more_body", "response_complete",
        "response_started", "scope",
    )  # fmt: skip

    def __init__(
        self,
        scope: dict[str, Any],
        transport: asyncio.Transport,
        flow: FlowControl,
        loop: asyncio.AbstractEventLoop,
        *,
        keep_alive: bool,
        expect_continue: bool,
        on_response: Callable[[], None],
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self._transport = transport
        self._flow = flow
        self._loop = loop
        self._waiting_for_continue = expect_continue
        self._on_response = on_response
        self.body: list[bytes] = []
        """Pieces of the request's body that the application has not taken yet."""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._news = False
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._chunked = False
        self._left = 0

    def tell(self) -> None:
        """Wake the application: there is more body, or its end, or the caller has left."""
        self._news = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- the application's side ----------------------------------------------------------------------------

    async def receive(self) -> Message:
        """Return the next piece of the body, or `http.disconnect` once the caller left or has the whole answer."""
        if self._waiting_for_continue:
            self._waiting_for_continue = False
            if not self._transport.is_closing():
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.disconnected and not self.response_complete:
            self._flow.resume_reading()
            if not self._news:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            self._news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        parts, self.body = self.body, []
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Take a part of the answer; waits while the caller reads too slowly."""
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.response_started and not self.response_complete:
            self._send_body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start" and not self.response_started:
            self.response_started = True
            self._waiting_for_continue = False
            self._head = self._built(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"The message {kind!r} has no place here.")

    def _built(self, status: int, headers: Any) -> bytes:
        parts = [STATUS_LINES[status]]
        framed = closing = False
        for name, value in headers:
            if _LF in value or _CR in value or _LF in name or _COLON in name:
                raise RuntimeError(f"The header {name!r} cannot be sent.")
            if name == b"content-length":
                self._left = int(value)
                framed = True
            elif name == b"connection":
                closing = closing or value.lower() == b"close"
            elif name == b"transfer-encoding":
                continue  # decided here
            parts += (name, b": ", value, b"\r\n")
        if status in (204, 304) or self.scope["method"] == "HEAD":
            self._left = 0
        elif not framed:
            self._chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        self.keep_alive = self.keep_alive and not closing
        if not self.keep_alive and not closing:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def _send_body(self, body: bytes, more: bool) -> None:
        head, self._head = self._head, b""
        if self._chunked:
            end = b"" if more else b"0\r\n\r\n"
            data = b"%b%x\r\n%b\r\n%b" % (head, len(body), body, end) if body else head + end
        elif self.scope["method"] == "HEAD":
            data = head
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("The body is not as long as its content-length says.")
            data = head + body
        if data:
            self._transport.write(data)
        if not more:
            self.response_complete = True
            self.tell()
            if not self.keep_alive:
                self._transport.close()
            self._on_response()

    # -- running -------------------------------------------------------------------------------------------

    async def run_asgi(self, app: App) -> None:
        """Run the application; an answer it did not begin becomes a 500, one it did not finish is cut."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:
            logger.error("the application failed", exc_info=error)
        if not (self.response_complete or self.disconnected):
            await self._unfinished()
        self._on_response = _nothing  # it refers back: both would stay until the collector comes by

    async def _unfinished(self) -> None:
        if self.response_started:
            self._transport.close()
            return
        await self.send({"type": "http.response.start", "status": 500, "headers": _FAILED})
        await self.send({"type": "http.response.body", "body": b"Internal Server Error"})
