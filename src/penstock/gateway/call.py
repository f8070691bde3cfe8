"""One call on its way through the gateway: who, what, whereto, and what its trace will say."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from penstock.core import clock, ids
from penstock.core.http.families import Family
from penstock.core.scope import Scope
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.sse import PING
from penstock.gateway.hooks import AnswerHook
from penstock.gateway.limits.ticket import Ticket
from penstock.gateway.model import Operation
from penstock.gateway.outcome import Outcome
from penstock.gateway.routing.live import LiveShadow, LiveTarget, Placed
from penstock.gateway.snapshot import Caller

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]

SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
WATCH_AFTER_SECONDS = 0.25
"""Calls that take longer are watched for a caller who leaves; shorter ones are over before it matters."""


class Rewritten(NamedTuple):
    """A copy of the call with another version of the prompt that the call names."""

    shadow: LiveShadow
    write: Callable[[], Awaitable[tuple[bytes, str]]]
    """Returns the request with that version filled in, and what the version is called."""


class Call(Outcome):
    """The state of one request. `ids` and times are set at once, the rest as the call gets there."""

    __slots__ = (
        "arm", "body_by", "caller", "envelope", "extra", "family", "gone", "headers", "hook", "key", "last_sent",
        "operation", "parent_id", "path", "ping_seconds", "pinging", "prompt", "read_at", "receive", "request_id",
        "restores", "rewritten", "route", "scope", "send", "span_id", "stalled", "start_ns", "started", "target",
        "task", "ticket", "trace_id", "unguarded", "user", "watcher",
    )  # fmt: skip

    def __init__(self, path: str, family: Family, headers: Headers, receive: Receive, send: Send) -> None:
        super().__init__()
        self.path = path
        self.family = family
        self.headers = headers
        self.receive = receive
        self.send = send
        self.start_ns = clock.now_ns()
        self.span_id = ids.new_span_id()
        self.trace_id, self.parent_id = self._context(headers.get(b"traceparent"))
        # Clients keep x-request-id (OpenAI's SDK shows it as `_request_id`): feedback can name the answer by it.
        self.request_id = f"req_{self.trace_id}{self.span_id}"
        self.key = b""
        """The caller's secret, when it came in the address."""
        self.operation: Operation | None = None
        self.caller: Caller | None = None
        self.scope: Scope | None = None
        self.envelope: Envelope | None = None
        self.route = ""
        self.prompt: str | None = None
        """`name@version` of the managed prompt that was filled in."""
        self.target: LiveTarget | None = None
        self.arm: Placed | None = None
        """The call's place in a release that divides it."""
        self.started = False
        """Whether the answer's head went out, so that errors can no longer be an HTTP status."""
        self.rewritten: Rewritten | None = None
        self.unguarded: Envelope | None = None  # the request before guards changed it, where they look at it
        self.user: str | None = None
        """The end user the caller names."""
        self.ticket: Ticket | None = None
        """What is reserved of limits and budgets."""
        self.extra: list[tuple[bytes, bytes]] = []
        """Headers of the answer: what is left of limits, what the cache did."""
        self.restores = False
        """Whether guards put back into the answer what they took out of the request; `output` has stand-ins then."""
        self.hook: AnswerHook | None = None
        self.gone = False
        self.body_by = 0.0
        """Moment (the loop's clock) by which the next piece of the body must come; 0 while none is awaited."""
        self.read_at = 0.0
        """Moment (the loop's clock) at which the body was whole; before it, whoever watches would take it away."""
        self.stalled = False
        self.task: asyncio.Task[Any] | None = asyncio.current_task()
        self.watcher: asyncio.Task[None] | None = None
        self.last_sent = 0.0
        self.ping_seconds = 0.0
        """Above 0 while a stream is awaited or open: after so much silence a comment is sent."""
        self.pinging: asyncio.Task[None] | None = None
        """A comment being sent right now: whoever sends something else waits for it first."""

    def _context(self, traceparent: bytes | None) -> tuple[str, str | None]:
        """Return trace id and parent of the caller's W3C trace context, or a new trace."""
        if traceparent is not None and len(traceparent) >= 55 and traceparent[2:3] == b"-":
            text = traceparent.decode("latin-1").lower()
            trace_id, parent = text[3:35], text[36:52]
            if _hex(trace_id) and _hex(parent):
                return trace_id, parent
        return ids.new_trace_id(), None

    # -- the caller leaving --------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Start watching for the caller to leave, give up a body that stalls, break long silences of a stream."""
        if self.body_by:
            if now > self.body_by and self.task is not None and not self.stalled:
                self.stalled = True
                self.task.cancel()
            return
        if self.read_at and self.watcher is None and now - self.read_at > WATCH_AFTER_SECONDS:
            self.watcher = asyncio.ensure_future(self._watch())
        if self.ping_seconds and self.pinging is None and now - self.last_sent > self.ping_seconds:
            self.last_sent = now
            self.pinging = asyncio.ensure_future(self._ping())

    async def _ping(self) -> None:
        try:
            if not self.started:
                await self.begin_stream(settled=False)
            await self.send({"type": "http.response.body", "body": PING, "more_body": True})
        finally:
            self.pinging = None

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        if self.end_ns == 0 and self.task is not None:
            self.gone = True
            self.task.cancel()

    def close(self) -> None:
        """Stop watching and pinging."""
        if self.watcher is not None:
            self.watcher.cancel()
            self.watcher = None
        if self.pinging is not None:
            self.pinging.cancel()
        self.task = None

    # -- answering -----------------------------------------------------------------------------------------

    def identity(self, *, settled: bool = True) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer carries; `settled` is False while nobody has answered yet."""
        request_id = self.request_id.encode()
        headers = [(b"x-request-id", request_id), (b"x-penstock-trace-id", self.trace_id.encode())]
        if self.family == "anthropic":
            headers.append((b"request-id", request_id))
        if self.route:
            headers.append((b"x-penstock-route", self.route.encode()))
        if (arm := self.notes.get("arm")) is not None:
            headers.append((b"x-penstock-arm", arm.encode()))
        headers += self.extra
        if self.cost is not None:
            headers.append((b"x-penstock-cost-usd", b"%.9f" % self.cost.usd))
        if self.target is not None and settled:
            headers.append((b"x-penstock-target", self.target.label.encode()))
            headers.append((b"x-penstock-attempts", b"%d" % self.attempts))
        return headers

    async def begin_stream(self, *, settled: bool = True) -> None:
        """Send the head of a stream of events."""
        self.started = True
        self.status = 200
        headers = [*SSE_HEADERS, *self.identity(settled=settled)]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def answer(self, status: int, body: bytes, more: list[tuple[bytes, bytes]] | None = None) -> None:
        """Send a whole JSON answer."""
        self.started = True
        self.status = status
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *self.identity(),
        ]
        if more:
            headers += more
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _hex(text: str) -> bool:
    return text.strip("0") != "" and all(character in "0123456789abcdef" for character in text)
