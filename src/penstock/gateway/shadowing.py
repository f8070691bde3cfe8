"""Copies of calls for a second target: their answers go to the trace alone, and never delay or change the call."""

import asyncio
from collections.abc import Callable

from penstock.core import clock, log
from penstock.core.errors import PenstockError, Upstream
from penstock.gateway.call import Call, Message
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation
from penstock.gateway.opening import Opened, Opener
from penstock.gateway.routing.live import LiveShadow

_log = log.get("gateway")
NS_PER_DAY = 86_400 * 1_000_000_000


class Shadows:
    """Runs copies in tasks of their own. Each is its own span, a child of the call's, with `gateway.shadow`."""

    def __init__(
        self, opener: Opener, *, record: Callable[[Call], None], price: Callable[[Call], None]
    ) -> None:
        self._opener = opener
        self._price = price
        self._record = record
        self._tasks: set[asyncio.Task[None]] = set()

    def copy(self, call: Call, shadow: LiveShadow, envelope: Envelope, operation: Operation) -> None:
        """Start a copy unless a limit is reached; returns at once."""
        if not shadow.state.wants(shadow.limits, call.start_ns // NS_PER_DAY):
            return
        shadow.state.in_flight += 1
        made = _copy_of(call, envelope, operation)
        task = asyncio.ensure_future(self._run(made, shadow, envelope, operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, made: Call, shadow: LiveShadow, envelope: Envelope, operation: Operation) -> None:
        made.target = shadow.target
        made.attempts = 1
        failure: BaseException | None = None
        opened: Opened | None = None
        try:
            opened = await self._opener.open(made, shadow.target, envelope, operation)
            await _read(made, opened)
            made.status = 200
        except asyncio.CancelledError as error:
            failure = error
            made.error = "The gateway stopped before the copy was complete."
        except PenstockError as error:
            failure = error
            made.status, made.error = error.status, str(error)
        except Exception as error:  # noqa: BLE001 - a copy that fails is never the call's trouble
            failure = error
            _log.exception("the copy of call %s failed", made.request_id)
            made.status, made.error = 500, "Something went wrong inside Penstock."
        finally:
            if opened is not None:
                opened.close(failure)
            shadow.state.in_flight -= 1
            made.end_ns = max(made.start_ns, clock.now_ns())
            made.close()
            self._charge(made, shadow)
            self._record(made)

    def _charge(self, made: Call, shadow: LiveShadow) -> None:
        """Count what the copy cost against the day's limit."""
        if not made.answered:
            return
        self._price(made)
        if made.cost is not None:
            shadow.state.spent += made.cost.usd
        elif shadow.limits.usd_per_day is not None and not shadow.state.unpriced:
            shadow.state.unpriced = True
            _log.warning(
                "copies to %s stop: its price is unknown, so usd_per_day cannot be kept", shadow.target.label
            )

    async def close(self) -> None:
        """Cut what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _copy_of(call: Call, envelope: Envelope, operation: Operation) -> Call:
    """Return a call that nobody waits for. It carries no key, so that nobody is billed for it unasked."""
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
    answer, relay, response = opened.answer, opened.relay, opened.response
    made.answered = True
    if answer is not None:
        made.usage, made.answer_model = answer.usage, answer.model
        made.output = lambda: answer.body
        return
    assert relay is not None and response is not None
    made.output, made.first_ns = relay.output, opened.first_ns
    try:
        while not relay.complete:
            data = await response.next()
            if data is None:
                relay.finish()
            else:
                relay.feed(data)
            if relay.fault is not None:
                opened.check_fault()
            if data is None and not relay.complete:
                raise Upstream("The provider ended the stream before the answer was complete.")
    finally:
        made.usage, made.answer_model = relay.usage, relay.model
