"""One attempt at one target, up to the first byte that the caller could be given."""

import asyncio
import re

from penstock.core import clock
from penstock.core.errors import Invalid, LimitExceeded, NotFound, PenstockError, Unavailable, Upstream
from penstock.gateway.call import Call
from penstock.gateway.dialects.base import Answer, Dialect, Fault, Relay, Replying
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.estimates import ADVICE, ESTIMATES
from penstock.gateway.hooks import AnswerHook
from penstock.gateway.model import Operation, Usage
from penstock.gateway.ports import Asleep
from penstock.gateway.routing.breaker import Permit
from penstock.gateway.routing.live import LiveProvider, LiveTarget
from penstock.gateway.routing.refusals import blames_target, clean, refusal, retry_after_of
from penstock.gateway.upstream.client import Transport
from penstock.gateway.upstream.errors import SENT, UNTOLD, TimedOut
from penstock.gateway.upstream.request import Request
from penstock.gateway.upstream.response import Response
from penstock.gateway.waiting.waking import Waker

MAX_ERROR_BYTES = 256 * 1024
LONGEST_LIMIT = 60.0
"""A target that sent a longer Retry-After is passed over for so many seconds only."""
_STATE = re.compile(rb"[\x20-\x7e]{1,512}")
"""A `tracestate` that is passed on; the standard asks for 512 characters at least."""


class Opened:
    """An attempt under way, and after it the answer or the beginning of the stream. Always `close` it."""

    __slots__ = (
        "_answered", "_closed", "_permit", "_started", "answer", "first", "first_ns", "relay", "response", "source",
        "target",
    )  # fmt: skip

    def __init__(self, target: LiveTarget, permit: Permit, now: float) -> None:
        self.target = target
        self.response: Response | None = None
        self.answer: Answer | None = None
        """A whole answer in the caller's shape."""
        self.relay: Relay | None = None
        """Carries the stream; behind guards where there are any."""
        self.source: Relay | None = None
        """The relay without guards: its fault is the provider's."""
        self.first = b""
        """The first bytes of a stream that the caller gets."""
        self.first_ns = 0
        self._permit = permit
        self._closed = False
        self._started = self._answered = now
        target.health.in_flight += 1
        target.health.requests += 1

    @property
    def waited(self) -> float:
        """Seconds since the attempt began."""
        return clock.monotonic() - self._started

    def answered(self) -> None:
        """Note that the target answers: its latency counts, and a probe has succeeded."""
        now = self._answered = clock.monotonic()
        health = self.target.health
        health.observe(now - self._started, now)
        health.last_ok = now
        if self._permit is Permit.PROBE:
            self.target.breaker.leave(Permit.PROBE, True, now)
            self._permit = Permit.YES

    def close(self, error: BaseException | None = None) -> None:
        """End the attempt, cutting what is not complete; `error` is why, if anything went wrong. Twice is harmless."""
        if self._closed:
            return
        self._closed = True
        target = self.target
        health = target.health
        now = self._answered if error is None else clock.monotonic()
        health.in_flight -= 1
        if target.provider.gate is not None:
            target.provider.gate.leave()
        if self.response is not None:
            self.response.close()
        good: bool | None = error is None
        if isinstance(error, PenstockError) and blames_target(error):
            health.failed(error, now - self._started, now)
        elif error is not None:
            good = None
            if isinstance(error, LimitExceeded) and error.retry_after is not None:
                health.limited_until = now + min(LONGEST_LIMIT, error.retry_after)
        target.breaker.leave(self._permit, good, now)

    def check_fault(self) -> None:
        """Raise the error that the stream told of: the provider's, or what the guards found."""
        assert self.relay is not None and self.source is not None
        if self.source.fault is not None:
            provider = self.target.provider
            raise refusal(502, clean(self.source.fault, provider.secrets), provider.name)
        if (fault := self.relay.fault) is not None:
            details = {name: value for name in ("type", "code", "param") if (value := getattr(fault, name))}
            raise Invalid(fault.message, details=details)


class Estimated(Opened):
    """An answer that the gateway made itself: the target was not asked, so its health has no part in it."""

    __slots__ = ()

    def __init__(self, target: LiveTarget, answer: Answer) -> None:
        super().__init__(target, Permit.YES, clock.monotonic())
        target.health.in_flight -= 1
        target.health.requests -= 1
        self.answer = answer
        self._closed = True


class Opener:
    """Asks targets."""

    def __init__(self, client: Transport, max_answer: int, waker: Waker | None = None) -> None:
        """`waker` lets callers wait for deployments that sleep; without it they are told that it does."""
        self._client = client
        self._waker = waker
        self._max_answer = max_answer

    async def open(self, call: Call, target: LiveTarget, envelope: Envelope, operation: Operation) -> Opened:
        """Return the whole answer, or a stream that has begun; raises the error of the attempt.

        Nothing reaches the caller here, so that a failure may be followed by another attempt.
        """
        provider = target.provider
        dialect = provider.plugin.dialect(operation)
        if dialect is None:
            return _estimated(call, target, envelope, operation)
        body = dialect.request(envelope, target.model)
        if provider.prepare is not None:
            await provider.prepare(self._client)
        request = await self._request(call, target, operation, body)
        if provider.gate is not None:
            await provider.gate.enter()
        now = clock.monotonic()
        permit = target.breaker.enter(now)
        if permit is Permit.NO:
            if provider.gate is not None:
                provider.gate.leave()
            raise Unavailable(f"{target.label} failed too often and rests.", retry_after=1)
        opened = Opened(target, permit, now)
        try:
            response = opened.response = await self._client.send(request, target.timeouts)
            if response.status >= 300:
                told = await response.read(MAX_ERROR_BYTES)
                raise _refused(response, dialect.fault(response.status, told), provider)
            if envelope.stream and not response.header(b"content-type").startswith(b"application/json"):
                await _begin(opened, response, dialect.relay(envelope), call.hook)
            else:
                opened.answered()
                opened.answer = _answer(dialect, operation, envelope, await response.read(self._max_answer))
        except BaseException as error:
            if opened.relay is not None:
                call.output = opened.relay.output  # for the trace: how far it got
            _mark(call, opened, error)
            opened.close(error)
            raise
        return opened

    async def _request(self, call: Call, target: LiveTarget, operation: Operation, body: bytes) -> Request:
        try:
            return _request(call, target, operation, body)
        except Asleep as asleep:
            if self._waker is None:
                raise
            return await self._awoken(call, target, operation, body, asleep=asleep)

    async def _awoken(
        self, call: Call, target: LiveTarget, operation: Operation, body: bytes, *, asleep: Asleep
    ) -> Request:
        """Return the request to a deployment that slept; every look has what is left of its patience."""
        assert self._waker is not None
        deadline, provider = clock.monotonic() + asleep.patience, target.provider
        while True:
            provider = await self._waker.wait(provider, asleep)
            try:
                return _request(call, target._replace(provider=provider), operation, body)
            except Asleep:
                asleep.patience = deadline - clock.monotonic()


def _mark(call: Call, opened: Opened, error: BaseException) -> None:
    """Note on the call and on the failure whether the attempt may be billed all the same."""
    if _left_untold(opened, error):
        call.untold = True
        error.add_note(UNTOLD)


def _left_untold(opened: Opened, error: BaseException) -> bool:
    """Return whether the provider may have worked on the request without having said what came of it."""
    if isinstance(error, TimedOut):
        return error.phase != "connect"
    cancelled = isinstance(error, asyncio.CancelledError)
    return cancelled and (opened.response is not None or SENT in getattr(error, "__notes__", ()))


def _estimated(call: Call, target: LiveTarget, envelope: Envelope, operation: Operation) -> Estimated:
    """Return the gateway's own answer to what the target's provider does not know; raises NotFound without one."""
    estimate = ESTIMATES.get(operation)
    if estimate is None:
        raise NotFound(
            f"{target.label} has no {operation}.",
            hint=ADVICE.get(operation, "Route this model to a provider that does."),
            details={"code": "unsupported_operation"},
        )  # fmt: skip
    answer = Answer(estimate(envelope), Usage(), "")
    call.extra.append((b"x-penstock-estimated", b"true"))
    call.notes["estimated"] = True
    return Estimated(target, answer)


def _answer(dialect: Dialect, operation: Operation, envelope: Envelope, body: bytes) -> Answer:
    if operation is Operation.RESPONSES and isinstance(dialect, Replying):
        return dialect.answer_to(envelope, body)
    return dialect.answer(body, envelope.model)


def _request(call: Call, target: LiveTarget, operation: Operation, body: bytes) -> Request:
    """Return the HTTP request, with the call's W3C trace context (https://www.w3.org/TR/trace-context/) if wanted."""
    stream = call.envelope is not None and call.envelope.stream
    request = target.provider.plugin.request(operation, target.model, body, stream=stream)
    if not target.provider.trace_context:
        return request
    context = f"traceparent: 00-{call.trace_id}-{call.span_id}-01\r\n".encode()
    state = call.headers.get(b"tracestate")
    if state is not None and call.parent_id is not None and _STATE.fullmatch(state):
        context += b"tracestate: %b\r\n" % state
    return Request(request.origin, request.target, request.headers + context, request.body, request.method)


def _refused(response: Response, fault: Fault, provider: LiveProvider) -> PenstockError:
    """Return the error for a refusal; where its headers do not say how long to wait, its body may."""
    wait = retry_after_of(response)
    wait = fault.retry_after if wait is None else wait
    return refusal(response.status, clean(fault, provider.secrets), provider.name, wait)


async def _begin(opened: Opened, response: Response, source: Relay, hook: AnswerHook | None) -> None:
    """Read a stream until there is something to send."""
    relay = source if hook is None else hook.relay(source)
    opened.source, opened.relay = source, relay
    target = opened.target
    while not opened.first and not relay.complete:
        left = target.first_token - opened.waited
        if left <= 0:
            raise TimedOut("The provider took too long (first token).", phase="first token")
        response.patience = left
        data = await response.next()
        opened.first = relay.finish() if data is None else relay.feed(data)
        if relay.fault is not None:
            opened.check_fault()
        if data is None and not relay.complete:
            raise Upstream("The provider ended the stream before the answer was complete.")
    opened.first_ns = clock.now_ns()
    response.patience = target.timeouts.idle
    opened.answered()
