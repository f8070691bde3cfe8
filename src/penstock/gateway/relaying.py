"""Carrying a call to a provider and its answer back: attempts, hedges, arms, copies."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from penstock.core import clock, ids
from penstock.core.errors import PenstockError, Upstream
from penstock.gateway.asking import user_of
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
    ) -> None:
        """`record` is given the copies that `copier` makes of calls, `price` every call that is answered."""
        self._price = price
        self._settings = settings
        self._opener = opener
        self._shadows = Shadows(self._opener, copier, record=record, price=price)
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
                work.first_failed(first, error, now)
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
    ) -> "_Work":
        budget = route.attempts if route.hedge_after is None else route.attempts + 1
        tries = Attempts(order, budget, self._dice, self._settings.retry_after_seconds)
        return _Work(self._opener, call, route, envelope, operation, tries)

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


class _Work:
    """The attempts of one call."""

    __slots__ = ("_call", "_envelope", "_opener", "_operation", "_route", "_tries", "last")

    def __init__(
        self,
        opener: Opener,
        call: Call,
        route: LiveRoute,
        envelope: Envelope,
        operation: Operation,
        tries: Attempts,
    ) -> None:
        self._opener = opener
        self._call = call
        self._route = route
        self._envelope = envelope
        self._operation = operation
        self._tries = tries
        self.last: PenstockError | None = None

    def _next(self) -> LiveTarget:
        """Return who is asked next; raises the last error when nobody is left."""
        now = clock.monotonic()
        target = self._tries.take(now)
        if target is None:
            raise self.last or self._tries.nobody(self._route.name, now)
        return target

    def first_failed(self, target: LiveTarget, error: PenstockError, started: float) -> None:
        """Go on after the first target failed; raises the error when nobody else may be asked."""
        self._tries.begin_after(target, clock.monotonic())
        self._note(target, error, started)
        if not self._tries.failed(target, error):
            raise error
        self.last = error

    async def one_by_one(self) -> Opened:
        """Return the first attempt that succeeds; raises the last error."""
        while True:
            target = self._next()
            if self._tries.pause:
                await asyncio.sleep(self._tries.pause)
            self._call.target = target
            try:
                return await self._ask(target)
            except PenstockError as error:
                if not self._tries.failed(target, error):
                    raise
                self.last = error

    async def _ask(self, target: LiveTarget) -> Opened:
        call = self._call
        call.attempts += 1
        started = clock.monotonic()
        try:
            return await self._opener.open(call, target, self._envelope, self._operation)
        except PenstockError as error:
            self._note(target, error, started)
            raise

    def _note(self, target: LiveTarget, error: PenstockError, started: float) -> None:
        tried = {
            "target": target.label,
            "code": error.details.get("code") or error.code,
            "status": getattr(error, "upstream_status", None) or error.status,
            "ms": round((clock.monotonic() - started) * 1000, 1),
        }
        self._call.notes.setdefault("failed_attempts", []).append(tried)

    async def hedged(self, after: float) -> Opened:
        """As `one_by_one`, but whoever has not answered after so many seconds gets a rival, once."""
        running: dict[asyncio.Task[Opened], LiveTarget] = {}
        rival = False
        try:
            while True:
                if not running:
                    await self._start(running)
                done, _ = await asyncio.wait(
                    running, timeout=None if rival else after, return_when=asyncio.FIRST_COMPLETED
                )
                if not done and not rival:
                    rival = True
                    if (target := self._tries.take(clock.monotonic())) is not None:
                        self._call.notes["hedged"] = target.label
                        running[asyncio.ensure_future(self._ask(target))] = target
                if (winner := self._settle(running, done)) is not None:
                    return winner
        finally:
            await self._cut(running)

    async def _start(self, running: "dict[asyncio.Task[Opened], LiveTarget]") -> None:
        target = self._next()
        if self._tries.pause:
            await asyncio.sleep(self._tries.pause)
        running[asyncio.ensure_future(self._ask(target))] = target

    def _settle(
        self, running: "dict[asyncio.Task[Opened], LiveTarget]", done: "set[asyncio.Task[Opened]]"
    ) -> Opened | None:
        """Return the answer among what is done, having taken note of failures; raises one that ends the call."""
        for task in done:
            target = running[task]
            error = task.exception()
            if error is None:
                del running[task]
                self._call.target = target
                if running:
                    self._call.notes["hedge_lost"] = next(iter(running.values())).label
                return task.result()
            del running[task]
            self._call.target = target
            if not isinstance(error, PenstockError) or not self._tries.failed(target, error):
                raise error
            self.last = error
        return None

    @staticmethod
    async def _cut(running: "dict[asyncio.Task[Opened], LiveTarget]") -> None:
        """Cancel what is still running, at the provider too."""
        for task in running:
            task.cancel()
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(outcome, Opened):
                outcome.close(asyncio.CancelledError())


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
