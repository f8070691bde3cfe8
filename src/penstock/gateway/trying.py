"""The attempts of one call: one after the other, or hedged by a rival; and what those cost whose answer nobody gets."""

import asyncio
from typing import NamedTuple

from penstock.core import clock
from penstock.core.errors import PenstockError, Unavailable
from penstock.gateway.beside import Beside
from penstock.gateway.call import Call
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.limits.model import Aside
from penstock.gateway.limits.ticket import Ticket
from penstock.gateway.model import Operation
from penstock.gateway.opening import Opened, Opener
from penstock.gateway.routing.attempts import Attempts
from penstock.gateway.routing.live import LiveRoute, LiveTarget
from penstock.gateway.upstream.errors import UNTOLD


class Asked(NamedTuple):
    """What is asked of a target."""

    envelope: Envelope
    operation: Operation


class NoMoney(Unavailable):
    """Another attempt is not made: a budget does not allow it."""


class Work:
    """The attempts of one call."""

    __slots__ = ("_asked", "_beside", "_call", "_opener", "_owed", "_route", "_spare", "_tries", "last")

    def __init__(
        self, opener: Opener, beside: Beside, call: Call, route: LiveRoute, asked: Asked, tries: Attempts
    ) -> None:
        self._opener = opener
        self._beside = beside
        self._call = call
        self._route = route
        self._asked = asked
        self._tries = tries
        self._spare: Ticket | None = None
        """The reservation of a rival, while two attempts run that may both cost money."""
        self._owed: LiveTarget | None = None
        """Who was lost while two attempts ran and no second reservation was there: the call's own is for that."""
        self.last: PenstockError | None = None

    def _next(self) -> LiveTarget:
        """Return who is asked next; raises the last error when nobody is left."""
        now = clock.monotonic()
        target = self._tries.take(now)
        if target is None:
            raise self._failure() or self._tries.nobody(self._route.name, now)
        return target

    def _failure(self) -> PenstockError | None:
        """Return the last error, to be raised: kept here it would hold the frames that hold this."""
        last, self.last = self.last, None
        return last

    def first_failed(self, target: LiveTarget, error: PenstockError, started: float) -> bool:
        """Take note that the first target failed; returns whether another may be asked."""
        self._tries.begin_after(target, clock.monotonic())
        self._note(target, error, started)
        if not self._tries.failed(target, error):
            return False
        self.last = error
        return True

    async def _cover(self) -> None:
        """Book an attempt that was given up while its provider worked on it, before another one is made.

        What the call has reserved is for its answer; so the lost attempt needs a reservation of its own, and where
        no budget has room for that there is no other attempt: raises the last error.
        """
        call = self._call
        assert call.target is not None
        try:
            ticket = await self._reserve(call.target, Aside.RETRY)
        except NoMoney as refused:
            call.notes["retry_refused"] = str(refused)
            raise self._failure() or refused from refused
        self._beside.lost(call, call.target, ticket, kind=Aside.RETRY)
        call.untold, self._owed = False, None

    async def _reserve(self, target: LiveTarget, kind: Aside) -> Ticket:
        try:
            return await self._beside.attempt(
                self._call, target, self._asked.envelope, self._asked.operation, kind=kind
            )
        except PenstockError as refused:
            raise NoMoney(str(refused)) from refused

    async def one_by_one(self) -> Opened:
        """Return the first attempt that succeeds; raises the last error."""
        while True:
            target = self._next()
            if self._call.untold:
                await self._cover()
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
            return await self._opener.open(call, target, *self._asked)
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
        rival, winner = False, None
        try:
            while winner is None:
                if not running:
                    await self._start(running)
                done, _ = await asyncio.wait(
                    running, timeout=None if rival else after, return_when=asyncio.FIRST_COMPLETED
                )
                if not done and not rival:
                    rival = True
                    if (target := self._tries.take(clock.monotonic())) is not None:
                        self._call.notes["hedged"] = target.label
                        running[asyncio.ensure_future(self._rival(target))] = target
                winner = self._settle(running, done)
            return winner
        finally:
            await self._cut(running, won=winner is not None)

    async def _start(self, running: "dict[asyncio.Task[Opened], LiveTarget]") -> None:
        target = self._next()
        if self._call.untold:
            await self._cover()
        if self._tries.pause:
            await asyncio.sleep(self._tries.pause)
        self._call.target = target
        running[asyncio.ensure_future(self._ask(target))] = target

    async def _rival(self, target: LiveTarget) -> Opened:
        self._spare = await self._reserve(target, Aside.HEDGE)
        return await self._ask(target)

    def _settle(
        self, running: "dict[asyncio.Task[Opened], LiveTarget]", done: "set[asyncio.Task[Opened]]"
    ) -> Opened | None:
        """Return the answer among what is done, having taken note of failures; raises one that ends the call."""
        for task in done:
            target = running.pop(task)
            error = task.exception()
            if error is None:
                self._call.target = target
                if running:
                    self._call.notes["hedge_lost"] = next(iter(running.values())).label
                return task.result()
            if isinstance(error, NoMoney):
                self._call.notes["hedge_refused"] = str(error)
                del self._call.notes["hedged"]
                continue
            self._call.target = target
            self._call.untold = self._lost(target, _untold(error))
            if not isinstance(error, PenstockError) or not self._tries.failed(target, error):
                raise error
            self.last = error
        return None

    def _lost(self, target: LiveTarget, untold: bool) -> bool:
        """Take note that one of two attempts failed; returns whether what the call has reserved is for it."""
        spare, self._spare = self._spare, None
        if spare is None:
            self._owed = target if untold else self._owed
        elif untold:
            self._beside.lost(self._call, target, spare, kind=Aside.HEDGE)
        else:
            spare.cancel()
        return self._owed is not None

    async def _cut(self, running: "dict[asyncio.Task[Opened], LiveTarget]", *, won: bool) -> None:
        """Cancel what is still running, at the provider too, and book what it may have cost.

        The call's own reservation is for the answer or, without one, for one of those cut.
        """
        call = self._call
        if won and self._owed is not None and self._spare is not None:
            # The answer is paid for by what the call has reserved, so the one lost before it by the rival's.
            self._beside.lost(call, self._owed, self._spare, kind=Aside.HEDGE)
            self._spare = None
        taken = won or self._owed is not None
        for task, target in running.items():
            call.untold = False
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            usage, model = None, ""
            if isinstance(outcome, Opened):
                outcome.close(asyncio.CancelledError())
                if outcome.answer is not None:
                    usage, model = outcome.answer.usage, outcome.answer.model
            elif not call.untold and not _untold(outcome):
                continue
            spare, self._spare = self._spare, None
            if taken and spare is not None:
                self._beside.lost(call, target, spare, kind=Aside.HEDGE, usage=usage, model=model)
            elif spare is not None:
                self._spare = spare
            taken = True
        call.untold = taken and not won
        if self._spare is not None:
            self._spare.cancel()
            self._spare = None


def _untold(error: BaseException) -> bool:
    """Return whether the provider may have worked on a failed attempt without having said what came of it."""
    return UNTOLD in getattr(error, "__notes__", ())
