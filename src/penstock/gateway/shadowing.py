"""Copies of calls for a second target: their answers go to the trace alone, and never delay or change the call."""

import asyncio
from collections.abc import Callable

from penstock.core import clock, log
from penstock.core.errors import PenstockError, Upstream
from penstock.gateway.beside import Beside
from penstock.gateway.call import Call, Message
from penstock.gateway.dialects.base import Relay
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dividing.copying import Copied, Copier
from penstock.gateway.dividing.journal import LEFT
from penstock.gateway.limits.model import Aside
from penstock.gateway.model import Operation
from penstock.gateway.opening import Opened, Opener
from penstock.gateway.routing.live import LiveShadow, LiveTarget

_log = log.get("gateway")


class Shadows:
    """Runs copies in tasks of their own. Each is its own span, a child of the call's, with `gateway.shadow`."""

    def __init__(
        self,
        opener: Opener,
        copier: Copier,
        *,
        record: Callable[[Call], None],
        beside: Beside,
    ) -> None:
        self._opener = opener
        self._copier = copier
        self._beside = beside
        self._record = record
        self._tasks: set[asyncio.Task[None]] = set()

    def copy(
        self, call: Call, shadow: LiveShadow, envelope: Envelope, operation: Operation, *, first: LiveTarget
    ) -> None:
        """Start a copy unless a limit is reached; returns at once. `first` is where the call goes."""
        if not shadow.state.wants(shadow.limits):
            return
        shadow.state.in_flight += 1
        made = _copy_of(call, envelope, operation)
        if shadow.arm and call.arm is not None:
            made.arm = call.arm._replace(name=shadow.arm)
            made.notes |= {"arm": shadow.arm, "release": call.arm.split.release}
        task = asyncio.ensure_future(self._run(call, made, shadow, envelope, first=first))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(
        self, call: Call, made: Call, shadow: LiveShadow, envelope: Envelope, *, first: LiveTarget
    ) -> None:
        try:
            copied = await self._copier.copied(call, made, shadow, envelope, first=first)
            try:
                if not await self._may(call, made, shadow, copied):
                    return
                await self._ask(made, copied)
            finally:
                if copied.guards is not None:
                    copied.guards.close(made)
        except asyncio.CancelledError:
            made.status, made.error = LEFT, "The gateway stopped before the copy was complete."
        except PenstockError as error:
            made.status, made.error = error.status, str(error)
        except Exception:  # noqa: BLE001 - a copy that fails is never the call's trouble
            _log.exception("the copy of call %s failed", made.request_id)
            made.status, made.error = 500, "Something went wrong inside Penstock."
        finally:
            shadow.state.in_flight -= 1
            made.end_ns = max(made.start_ns, made.end_ns or clock.now_ns())
            made.close()
            if made.attempts or made.error is not None:
                self._beside.settle(made, Aside.COPY)
                self._record(made)

    async def _may(self, call: Call, made: Call, shadow: LiveShadow, copied: Copied) -> bool:
        """Reserve what the copy may cost; returns whether it may be made."""
        state = shadow.state
        try:
            await self._beside.copy(call, made, shadow, copied.target, copied.envelope)
        except PenstockError as refused:
            state.skipped += 1
            if refused.code != state.refused:
                _log.warning("copies to %s are left out: %s", copied.target.label, refused)
            state.refused = refused.code
            return False
        state.refused = ""
        return True

    async def _ask(self, made: Call, copied: Copied) -> None:
        assert made.operation is not None
        made.target, made.attempts = copied.target, 1
        opened = await self._opener.open(made, copied.target, copied.envelope, made.operation)
        try:
            await _read(made, opened)
        except BaseException as error:
            opened.close(error)
            raise
        opened.close()
        made.status = 200
        made.end_ns = clock.now_ns()
        if copied.guards is not None:
            await copied.guards.afterwards(made)

    async def close(self) -> None:
        """Cut what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _copy_of(call: Call, envelope: Envelope, operation: Operation) -> Call:
    """Return a call that nobody waits for. It carries no key: it is no call of the caller's."""
    made = Call(call.path, call.family, {b"x-penstock-tags": b"shadow"}, _nothing, _discard)
    made.trace_id, made.parent_id = call.trace_id, call.span_id
    made.request_id = f"req_{made.trace_id}{made.span_id}"
    made.scope, made.route = call.scope, call.route
    made.envelope, made.operation = envelope, operation
    made.notes["shadow"] = True
    return made


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _discard(message: Message) -> None:
    """Nobody gets the answer of a copy."""


async def _read(made: Call, opened: Opened) -> None:
    answer, relay, hook = opened.answer, opened.relay, made.hook
    made.answered = True
    if answer is not None:
        made.usage, made.answer_model = answer.usage, answer.model
        if hook is not None:
            answer = await hook.answer(answer)
        body = answer.body
        made.output = (lambda: body) if hook is None else hook.recorded
        return
    assert relay is not None
    made.output, made.first_ns = relay.output, opened.first_ns
    try:
        stream = await _collected(opened, relay)
        if hook is not None and hook.holds:
            await hook.release(stream)
    finally:
        made.usage, made.answer_model = relay.usage, relay.model


async def _collected(opened: Opened, relay: Relay) -> bytes:
    """Return the whole stream; raises the error that it broke with."""
    response, parts = opened.response, [opened.first]
    assert response is not None
    while not relay.complete:
        data = await response.next()
        parts.append(relay.finish() if data is None else relay.feed(data))
        if relay.fault is not None:
            opened.check_fault()
        if data is None and not relay.complete:
            raise Upstream("The provider ended the stream before the answer was complete.")
    return b"".join(parts)
