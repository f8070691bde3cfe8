"""Carrying a call to a provider and its answer back: attempts, streams, pings, errors in mid-stream."""

import asyncio
from itertools import islice

from penstock.core import clock, log
from penstock.core.errors import (
    Conflict,
    Invalid,
    LimitExceeded,
    NotFound,
    PenstockError,
    TooLarge,
    Unavailable,
    Unprocessable,
    Upstream,
    UpstreamTimeout,
)
from penstock.core.http.families import render_error
from penstock.gateway.call import Call
from penstock.gateway.dialects.base import Answer, Dialect, Fault, Relay
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.sse import PING
from penstock.gateway.model import Operation
from penstock.gateway.settings import GatewaySettings
from penstock.gateway.snapshot import LiveRoute, LiveTarget
from penstock.gateway.upstream.client import Transport
from penstock.gateway.upstream.errors import TimedOut
from penstock.gateway.upstream.request import Timeouts
from penstock.gateway.upstream.response import Response
from penstock.gateway.upstream.ticker import Ticker

_log = log.get("gateway")
MAX_ERROR_BYTES = 256 * 1024
BACKOFF_SECONDS = 0.1
DRAIN_SECONDS = 1.0
SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_SHAPES: dict[int, type[PenstockError]] = {
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Unprocessable,
    429: LimitExceeded,
    503: Unavailable,
    529: Unavailable,
}
"""A provider's status → the error the caller gets; other 4xx are Invalid, other 5xx Upstream."""
_CREDENTIALS = frozenset({401, 402, 403})


def refusal(status: int, fault: Fault, target: LiveTarget, retry_after: float | None = None) -> PenstockError:
    """Return the error for a provider's refusal. Refused credentials are ours, so they are no 401 to the caller."""
    details = {name: value for name in ("type", "code", "param") if (value := getattr(fault, name))}
    if status in _CREDENTIALS:
        return Upstream(
            f"The provider {target.provider.name!r} refused Penstock's credentials: {fault.message}",
            upstream_status=status,
            hint="An administrator must check its api_key.",
        )
    if status in (408, 504):
        return UpstreamTimeout(fault.message, upstream_status=status)
    shape = _SHAPES.get(status)
    if shape is not None:
        return shape(fault.message, details=details, retry_after=retry_after)
    if 400 <= status < 500:
        return Invalid(fault.message, details=details)
    return Upstream(fault.message, upstream_status=status, retry_after=retry_after)


def retry_after_of(response: Response) -> float | None:
    """Return the seconds that the provider's retry-after headers ask for, at most an hour."""
    for name, scale in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        try:
            seconds = float(response.header(name)) * scale
        except ValueError:
            continue
        if 0 <= seconds <= 3600:
            return seconds
    return None


def _may_move_on(error: PenstockError, *, other_target: bool) -> bool:
    """Whether a failed attempt may be followed by one at another target, or again at the same."""
    if isinstance(error, LimitExceeded | NotFound):
        return other_target
    if isinstance(error, Upstream):
        if error.upstream_status in _CREDENTIALS or isinstance(error, UpstreamTimeout):
            return other_target or (isinstance(error, TimedOut) and error.phase == "connect")
        return True
    return isinstance(error, Unavailable)


class Relayer:
    """Runs calls against providers."""

    def __init__(self, client: Transport, ticker: Ticker, settings: GatewaySettings) -> None:
        self._client = client
        self._ticker = ticker
        self._settings = settings
        self._max_answer = settings.max_answer_mb * 1024 * 1024
        self._loop = asyncio.get_running_loop()

    async def run(self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation) -> None:
        """Try the route's targets until one answers, and pass its answer on; raises the last error."""
        order = route.picker.order()
        last: PenstockError | None = None
        for number in range(route.attempts):
            if number >= len(order):
                await asyncio.sleep(min(1.0, BACKOFF_SECONDS * 2 ** (number - len(order))))
            target = order[number % len(order)]
            call.attempts = number + 1
            call.target = target
            try:
                await self._attempt(call, target, route, envelope, operation)
                return
            except PenstockError as error:
                if call.response is not None:
                    call.response.close()
                    call.response = None
                last = error
                following = next(islice(order, number + 1, None), None)
                if call.started or not _may_move_on(error, other_target=following is not None):
                    raise
        assert last is not None
        raise last

    async def _attempt(
        self, call: Call, target: LiveTarget, route: LiveRoute, envelope: Envelope, operation: Operation
    ) -> None:
        provider = target.provider
        dialect = provider.plugin.dialect(operation)
        if dialect is None:
            raise NotFound(
                f"{target.label} has no {operation}.", hint="Route this model to a provider that does.",
                details={"code": "unsupported_operation"},
            )  # fmt: skip
        request = provider.plugin.request(
            operation, target.model, dialect.request(envelope, target.model), stream=envelope.stream
        )
        timeouts = provider.timeouts
        if route.timeout is not None:
            timeouts = Timeouts(timeouts.connect, route.timeout, timeouts.idle, timeouts.pool)
        response = call.response = await self._client.send(request, timeouts)
        if response.status >= 300:
            body = await response.read(MAX_ERROR_BYTES)
            fault = dialect.fault(response.status, body)
            raise refusal(response.status, fault, target, retry_after_of(response))
        if envelope.stream and not response.header(b"content-type").startswith(b"application/json"):
            await self._stream(call, response, dialect.relay(envelope), target)
        else:
            await self._whole(call, response, dialect, envelope)

    async def _whole(self, call: Call, response: Response, dialect: Dialect, envelope: Envelope) -> None:
        body = await response.read(self._max_answer)
        answer: Answer = dialect.answer(body, envelope.model)
        call.usage = answer.usage
        call.answer_model = answer.model
        call.output = lambda: answer.body
        await call.answer(200, answer.body)

    async def _stream(self, call: Call, response: Response, relay: Relay, target: LiveTarget) -> None:
        call.output = relay.output
        call.last_sent = self._loop.time()
        call.ping_seconds = self._settings.ping_seconds
        try:
            await self._pump(call, response, relay, target)
        except PenstockError as error:
            if not call.started:
                raise
            _log.info("stream %s broke: %s", call.request_id, error)
            await self._end_broken(call, error)
        finally:
            call.ping_seconds = 0.0
            call.usage = relay.usage
            call.answer_model = relay.model

    async def _pump(self, call: Call, response: Response, relay: Relay, target: LiveTarget) -> None:
        send, now = call.send, self._loop.time
        while (data := await response.next()) is not None:
            out = relay.feed(data) if data else PING
            if relay.fault is not None:
                await self._break(call, relay, target, out)
            if not out:
                continue
            if not call.started:
                await self._start(call)
            if not call.first_ns and data:
                call.first_ns = clock.now_ns()
            if relay.complete:
                await send({"type": "http.response.body", "body": out})
                await self._drain(response)
                return
            await send({"type": "http.response.body", "body": out, "more_body": True})
            call.last_sent = now()
        await self._end(call, relay, target)

    async def _break(self, call: Call, relay: Relay, target: LiveTarget, out: bytes) -> None:
        """Raise the stream's fault, once what came before it is sent; a stream not begun can still be tried again."""
        if out and call.started:
            await call.send({"type": "http.response.body", "body": out, "more_body": True})
        assert relay.fault is not None
        raise refusal(502, relay.fault, target)

    async def _end(self, call: Call, relay: Relay, target: LiveTarget) -> None:
        """End a stream that the provider ended without saying so."""
        out = relay.finish()
        if relay.fault is not None:
            await self._break(call, relay, target, out)
        if not relay.complete:
            raise Upstream("The provider ended the stream before the answer was complete.")
        if not call.started:
            await self._start(call)
        await call.send({"type": "http.response.body", "body": out})

    async def _start(self, call: Call) -> None:
        call.started = True
        call.status = 200
        headers = [*SSE_HEADERS, *call.identity()]
        await call.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _drain(self, response: Response) -> None:
        # The caller has everything. What may be left is the end of the chunked body: waiting a moment
        # for it lets the connection be used again.
        timer = self._loop.call_later(DRAIN_SECONDS, response.abandon)
        try:
            while await response.next() is not None:
                pass
        except PenstockError as error:
            _log.debug("connection not reused: %s", error)
        finally:
            timer.cancel()

    async def _end_broken(self, call: Call, error: PenstockError) -> None:
        """End an open stream with the error, in the caller's dialect."""
        call.error = str(error)
        _, _, body = render_error(error, call.family, call.request_id)
        kind = b"event: error\n" if call.family == "anthropic" else b""
        await call.send({"type": "http.response.body", "body": kind + b"data: " + body + b"\n\n"})
