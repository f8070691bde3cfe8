"""Carrying a call to a provider and its answer back: attempts, hedges, arms, copies."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from penstock.core import clock, ids
from penstock.core.errors import PenstockError, Upstream
from penstock.gateway.asking import user_of
from penstock.gateway.beside import Beside
from penstock.gateway.call import Call
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dividing.copying import Copier
from penstock.gateway.model import Operation
from penstock.gateway.opening import Opened, Opener
from penstock.gateway.routing.attempts import Attempts
from penstock.gateway.routing.live import LiveRoute, LiveTarget
from penstock.gateway.settings import GatewaySettings
from penstock.gateway.shadowing import Shadows
from penstock.gateway.streaming import deliver, end_broken
from penstock.gateway.trying import Asked, Work

OfCall = Callable[[Call], None]
"""Does something with a call that was answered."""


class Relayer:
    """Runs calls against providers. `close` it when its event loop ends."""

    def __init__(
        self,
        opener: Opener,
        settings: GatewaySettings,
        *,
        record: OfCall,
        price: OfCall,
        copier: Copier,
        beside: Beside,
    ) -> None:
        """`record` is given the copies that `copier` makes of calls, `price` every call that is answered.

        `beside` books what costs money beside the answers.
        """
        self._price = price
        self._settings = settings
        self._opener = opener
        self._beside = beside
        self._shadows = Shadows(self._opener, copier, record=record, beside=beside)
        self._dice = Random(ids.new_span_id())
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Cut the copies that are under way."""
        await self._shadows.close()

    async def run(self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation) -> None:
        """Try the route's targets until one answers, and pass its answer on; raises the last error.

        Once a stream has begun nothing is repeated, and an error becomes its last event.
        """
        if envelope.stream and self._settings.early_ping:
            self._expect_pings(call)
        try:
            if route.gate is None:
                await self._carry(call, route, envelope, operation)
                return
            await route.gate.enter()
            try:
                await self._carry(call, route, envelope, operation)
            finally:
                route.gate.leave()
        except PenstockError as error:
            if not (call.started and envelope.stream):
                raise
            await end_broken(call, error)
        finally:
            call.ping_seconds = 0.0

    def _expect_pings(self, call: Call) -> None:
        call.last_sent = self._loop.time()
        call.ping_seconds = self._settings.ping_seconds

    async def _carry(self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation) -> None:
        picker, token = route.picker, ""
        if route.sticky_by:
            token = _token(call, envelope, route.sticky_by)
            if route.arms is not None:
                arm = route.arms.order(token)[0]
                call.notes["arm"] = arm.name
                picker = arm.picker
        order, now = picker.order(token), clock.monotonic()
        first = order[0]
        if (shadow := route.shadow) is not None:
            self._shadows.copy(call, shadow, envelope, operation, first=first)
        if call.rewritten is not None:
            self._shadows.copy(call, call.rewritten.shadow, envelope, operation, first=first)
        if route.hedge_after is None and first.health.limited_until <= now and not first.breaker.refuses(now):
            # The way of nearly all calls, without the machinery for the others.
            call.target, call.attempts = first, 1
            try:
                opened = await self._opener.open(call, first, envelope, operation)
            except PenstockError as error:
                work = self._work(call, route, order, envelope, operation)
                if not work.first_failed(first, error, now):
                    raise
                opened = await work.one_by_one()
        else:
            work = self._work(call, route, order, envelope, operation)
            opened = await (
                work.one_by_one() if route.hedge_after is None else work.hedged(route.hedge_after)
            )
        try:
            await self._pass_on(call, opened, envelope)
        except BaseException as error:
            opened.close(error)
            raise
        opened.close()

    def _work(
        self,
        call: Call,
        route: LiveRoute,
        order: Sequence[LiveTarget],
        envelope: Envelope,
        operation: Operation,
    ) -> Work:
        budget = route.attempts if route.hedge_after is None else route.attempts + 1
        tries = Attempts(order, budget, self._dice, self._settings.retry_after_seconds)
        return Work(self._opener, self._beside, call, route, Asked(envelope, operation), tries)

    async def _pass_on(self, call: Call, opened: Opened, envelope: Envelope) -> None:
        answer = opened.answer
        if answer is None:
            if not call.ping_seconds:
                self._expect_pings(call)
            await deliver(call, opened)
            return
        call.usage = answer.usage
        call.answer_model = answer.model
        call.answered = True
        if call.hook is not None:
            answer = await call.hook.answer(answer)
        body = answer.body
        call.output = (lambda: body) if call.hook is None else call.hook.recorded
        call.ping_seconds = 0.0
        if call.pinging is not None:
            await call.pinging
        self._price(call)
        if call.started:
            raise Upstream(f"{opened.target.label} answered {envelope.model!r} without a stream.")
        await call.answer(200, body)


def _token(call: Call, envelope: Envelope, by: str) -> str:
    """Return who calls, as `kind:name`: what was asked for, else the key."""
    if by == "user":
        name = call.user or user_of(call.headers, envelope) or ""
    else:
        name = (
            call.headers.get(b"x-penstock-session", b"").decode("utf-8", "replace") if by == "session" else ""
        )
    if name:
        return f"{by}:{name}"
    return f"key:{call.caller.key_id}" if call.caller is not None else ""
