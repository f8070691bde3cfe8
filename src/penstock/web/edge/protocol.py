"""HTTP/1.1 as uvicorn and httptools speak it, with the limits and refusals that they leave out.

- A head must be complete in time and within a size (408, 431); a body must keep coming (408).
- Requests that servers could read differently are refused with 400: what llhttp refuses by itself (content-length
  with transfer-encoding or twice, bare LF or CR, folded headers, broken chunks), and transfer codings other than
  `chunked`, transfer-encoding in HTTP/1.0, HTTP/0.9, no or several Host headers. Trailers never become headers.
- An offer to upgrade the protocol is left aside and the request served (RFC 9110 §7.8); httptools would drop its body.
- An answerer that stops reading is cut; a keep-alive connection is closed by one clock for all, not a timer each.
- Draining: answers not begun say `connection: close`; a connection whose answer had begun without it stays open
  for a grace, so that no request meets a closing connection.
"""

import array
import asyncio
import contextlib
import fcntl
import termios
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from penstock.core import ids, log
from penstock.core.http.families import render_error
from penstock.web.edge.exchange import Exchange
from penstock.web.edge.refusal import Refusal, family_of, written
from penstock.web.edge.state import REFUSED, REQUESTS, Edge

logger = log.get("edge")

LINGER_SECONDS = 1.0
"""How long a refused connection is still read, so that its answer is not lost in a reset."""
GRACE_SECONDS = 1.0
"""How long a draining worker leaves an idle connection open."""
EARLY_SECONDS = 1.0
"""Idle time after which a connection may be closed early when there are too many."""
MIN_BODY_RATE = 1024
"""Bytes per second that a body must keep up on average, once `body_seconds` are over."""
MAX_HEADERS = 200
MAX_PIPELINED = 64
FRAMING_ROOM = 65536
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_NO_UPGRADE = frozenset({b"upgrade", b"http2-settings"})


async def _overloaded(scope: Any, _receive: Any, send: Any) -> None:
    error = Refusal(503, "overloaded", "The server is overloaded; try again in a moment.", retry_after=1)
    family = family_of(scope["path"].encode())
    status, headers, body = render_error(error, family, ids.new_id("req"))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class EdgeProtocol(HttpToolsProtocol):
    """One connection."""

    cycle: Exchange  # type: ignore[assignment]  # has what uvicorn's protocol uses of its own

    def __init__(
        self, config: uvicorn.Config, state: ServerState, app_state: dict[str, Any], *, edge: Edge
    ) -> None:
        super().__init__(config, state, app_state, asyncio.get_running_loop())
        self._edge = edge
        self._own_app = self.app
        self._served = False
        self._idle_since = 0.0
        """Moment from which nothing is going on; 0 while something is. All moments are the loop's clock."""
        self._head_since = 0.0
        self._head_bytes = 0
        self._begun = False
        self._last_data = 0.0
        self._body_bytes = self._raw_bytes = 0
        self._body_waited = 0.0
        self._refused_at = 0.0
        self._upgrade = False
        self._stuck_since = 0.0
        self._stuck_bytes = 0

    # -- bytes ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin; over the limit of connections the caller is told so at once."""
        super().connection_made(transport)
        self.url = b""
        self._idle_since = self.loop.time()
        if len(self.connections) > self._edge.max_connections:
            self._refuse(Refusal(503, "too_many_connections", "Too many connections.", retry_after=1))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that the caller is gone."""
        self.connections.discard(self)
        if self.cycle is not None:
            if not self.cycle.response_complete:
                self.cycle.disconnected = True
            self.cycle.tell()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._head_bytes = 0
        self._begun = True
        if not self._head_since:
            self._head_since = self._last_data

    def data_received(self, data: bytes) -> None:
        """Parse, within the limits."""
        if self._refused_at:
            return
        now = self._last_data = self.loop.time()
        if self._idle_since:
            self._idle_since, self._head_since = 0.0, now
        if not self._head_since:
            self._raw_bytes += len(data)
        try:
            self._feed(data)
            self._check_amounts(len(data))
        except httptools.HttpParserError as error:
            cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
            known = cause if isinstance(cause, Refusal) else None
            self._refuse(known or Refusal(400, "malformed", "The request is not valid HTTP/1.1."))
        except Refusal as refusal:
            self._refuse(refusal)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            rest = data[stopped.args[0] :]
            head = self._head_without_upgrade()
            self._upgrade = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head + rest)

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%b %b HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _NO_UPGRADE)
                if not value:
                    continue
            if name not in _NO_UPGRADE:
                lines.append(b"%b: %b\r\n" % (name, value))
        return b"".join([*lines, b"\r\n"])

    def _check_amounts(self, size: int) -> None:
        """Raise Refusal for a head that does not end, and for a body that is mostly framing."""
        if self._head_since:
            if self._begun:
                self._begun = False
            else:
                self._head_bytes += size
            if self._head_bytes > self._edge.max_header:
                raise Refusal(431, "headers_too_large", "The request's headers are too large.")
        elif self._raw_bytes - self._body_bytes > FRAMING_ROOM + 16 * self._body_bytes and self._in_body():
            raise Refusal(400, "framing", "The request body is mostly chunk framing.")

    def _in_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete

    # -- parser callbacks ----------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, within the limits; a trailer is dropped."""
        if not self._head_since:
            return
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._edge.max_header or len(self.headers) >= MAX_HEADERS:
            raise Refusal(431, "headers_too_large", "The request's headers are too large.")
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the head and start the application."""
        self._check_head()
        if self.parser.should_upgrade():
            self._upgrade = True
            return
        self._head_since = self._body_waited = 0.0
        self._raw_bytes = self._body_bytes = 0
        shed = self._edge.shedding and self.url.startswith((b"/v1/", b"/v1beta/"))
        if shed:
            REFUSED.inc("overloaded")
        self._serve(_overloaded if shed else self._own_app)
        self._served = True

    def _serve(self, app: Any) -> None:
        """Start the application on the request whose head is complete, or queue it behind the answer under way."""
        before = self.cycle
        version = self.parser.get_http_version()
        self.cycle = exchange = Exchange(
            self._scope(version),
            self.transport,
            self.flow,
            self.loop,
            keep_alive=version != "1.0" and self.parser.should_keep_alive() and not self._edge.draining,
            expect_continue=self.expect_100_continue,
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(exchange, app)  # type: ignore[arg-type]  # has what uvicorn uses
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, app))  # type: ignore[arg-type]  # has what uvicorn uses

    def _scope(self, version: str) -> dict[str, Any]:
        raw, _, query = self.url.partition(b"?")
        if not raw.startswith(b"/"):
            parsed = httptools.parse_url(self.url)
            raw, query = parsed.path or b"/", parsed.query or b""
        path = raw.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw,
            "query_string": query.partition(b"#")[0],
        }

    def _check_head(self) -> None:
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Refusal(400, "version", f"HTTP/{version} is not spoken here.")
        if len(self.url) > self._edge.max_header:
            raise Refusal(431, "headers_too_large", "The request's address is too long.")
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding" and (version == "1.0" or value.strip().lower() != b"chunked"):
                raise Refusal(
                    400, "transfer_encoding", "Only HTTP/1.1's `transfer-encoding: chunked` is taken."
                )
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise Refusal(400, "host", "A request needs exactly one Host header.")
        if self.parser.get_method() == b"CONNECT":
            raise Refusal(400, "method", "This server is no proxy.")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise Refusal(400, "pipelined", "Too many requests were sent without waiting for their answers.")

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        self._body_bytes += len(body)
        exchange = self.cycle
        if self._upgrade or exchange.response_complete:
            return
        exchange.body.append(body)
        if len(body) > HIGH_WATER_LIMIT or sum(map(len, exchange.body)) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        exchange.tell()

    def on_message_complete(self) -> None:
        """End the request; what followed an early answer is over now."""
        if self._upgrade:
            return
        if self.cycle.response_complete:
            self._head_since, self._idle_since = 0.0, self._last_data
            return
        self.cycle.more_body = False
        self.cycle.tell()

    # -- answers -------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Go on with the next request, or rest."""
        self.server_state.total_requests += 1
        REQUESTS.inc()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._idle_since = self.loop.time()

    def pause_writing(self) -> None:
        """Note since when the caller does not read."""
        self._stuck_since = self.loop.time()
        self._stuck_bytes = self.transport.get_write_buffer_size()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The caller reads again."""
        self._stuck_since = 0.0
        super().resume_writing()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with an error and read no further; an answer under way ends first, or is cut if it cannot be right."""
        REFUSED.inc(refusal.reason)
        logger.info("refused", extra={"reason": refusal.reason, "client": self.client})
        self._refused_at = self.loop.time()
        self._idle_since = self._head_since = 0.0
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False  # a whole request before this one is being answered
                self._refused_at = float("inf")
                return
            if cycle.response_started or self.pipeline:
                self.transport.abort()
                return
            cycle.disconnected = True
            cycle.tell()
        self._write_refusal(refusal)

    def _write_refusal(self, refusal: Refusal) -> None:
        self.transport.write(written(refusal, self.url))
        with contextlib.suppress(OSError, RuntimeError):  # the caller may be gone already
            self.transport.write_eof()

    # -- the clock -----------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Let this connection end with the answer that is due; see the module's text."""
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def tick(self, now: float, step: float) -> None:
        """Cut what is over time; called every `step` seconds."""
        if self._stuck_since:
            self._check_reader(now)
        if self._refused_at:
            if now - self._refused_at > LINGER_SECONDS:
                self.transport.abort()
        elif self._idle_since:
            if now - self._idle_since > self._idle_limit() and not self._has_unread():
                self.transport.close()
        elif self._head_since:
            if now - self._head_since > self._edge.header_seconds:
                self._refuse(Refusal(408, "header_timeout", "The request's headers did not come in time."))
        elif self._in_body() and not self.flow.read_paused:
            self._check_body(now, step)

    def _idle_limit(self) -> float:
        if self._edge.draining:
            return GRACE_SECONDS
        if not self._served:
            return self._edge.header_seconds
        return EARLY_SECONDS if self._edge.full else self._edge.keep_alive_seconds

    def _check_body(self, now: float, step: float) -> None:
        self._body_waited += step
        seconds = self._edge.body_seconds
        if self._body_waited > seconds + self._body_bytes / MIN_BODY_RATE or now - self._last_data > seconds:
            self._refuse(Refusal(408, "body_timeout", "The request's body did not come in time."))

    def _check_reader(self, now: float) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < self._stuck_bytes:
            self._stuck_since, self._stuck_bytes = now, waiting
        elif now - self._stuck_since > self._edge.body_seconds:
            REFUSED.inc("not_reading")
            self.transport.abort()

    def _has_unread(self) -> bool:
        """Whether the next request has arrived already but was not read yet."""
        waiting = array.array("i", [0])
        sock = self.transport.get_extra_info("socket")
        try:
            fcntl.ioctl(sock.fileno(), termios.FIONREAD, waiting)
        except OSError:
            return False
        return waiting[0] > 0
