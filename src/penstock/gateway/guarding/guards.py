"""The guards of one call: its request first, then what looks at its answer."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from penstock.core.errors import PenstockError
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.guarding.answers import MEMBERS as ANSWERED
from penstock.gateway.guarding.answers import edit_leaf
from penstock.gateway.guarding.hook import AnswerGuards
from penstock.gateway.guarding.leaves import Leaf
from penstock.gateway.guarding.plain import unescaped
from penstock.gateway.guarding.programs import Programs
from penstock.gateway.guarding.requests import Reading, has_token_ids, refuse_token_ids, without_texts
from penstock.gateway.guarding.verdicts import Count, gathered, told
from penstock.gateway.hooks import AnswerHook
from penstock.gateway.model import Operation
from penstock.guardrails.checking import Checker
from penstock.guardrails.model import About, OnError, Stage
from penstock.guardrails.ports import DocumentGuard, Transport
from penstock.guardrails.tokens import Tokens
from penstock.traces.model import SpanEvent

AT_ONCE = 8
"""Texts of one request that remote guards are asked about at the same time."""


class Guarded(Protocol):
    """What guards need of a call."""

    user: str | None
    envelope: Envelope | None
    restores: bool
    hook: AnswerHook | None
    events: list[SpanEvent]
    output: Callable[[], bytes | None] | None


class Guards:
    """Made per call by `Guarding.for_call`."""

    __slots__ = ("_answer", "_count", "_key_id", "_programs", "_route", "_transport", "stand_ins")

    def __init__(
        self, programs: Programs, *, route: str, key_id: str, transport: Transport, count: Count
    ) -> None:
        self._programs = programs
        self._route = route
        self._key_id = key_id
        self._transport = transport
        self._count = count
        self._answer: AnswerGuards | None = None
        self.stand_ins = ""
        """Names of what stands in the request for originals, in order."""

    async def admit(self, call: Guarded, envelope: Envelope, operation: Operation) -> Envelope:
        """Return the request as the guards let it pass, and set `call.hook` for its answer; raises what refuses it.

        When nothing is changed that is `envelope` itself. What was changed, `call.envelope` shows changed as well.
        """
        side = self._programs.input
        sent, tokens, reading = envelope, Tokens(), None
        ids = has_token_ids(envelope, operation) if not side.idle else False
        if not side.idle and (ids or side.concerned(envelope.body)):
            reading = Reading(envelope, operation)
            tokens = Tokens(unescaped(envelope.body).decode(errors="replace"))
            checker = Checker(side.program, self._about(call, Stage.INPUT), tokens)
            try:
                await self._look(checker, reading, ids=ids)
            except PenstockError:
                call.envelope = without_texts(envelope, operation)
                raise
            finally:
                call.events += told(gathered([checker.tally]), self._count)
            if side.program.bounds or side.whole:
                # Written anew even where no text changed: of members given twice only the one that was read is left.
                sent = call.envelope = reading.envelope()
        call.restores = bool(tokens.originals)
        self.stand_ins = "".join(sorted(tokens.originals))
        self._look_at_answer(call, envelope, operation, tokens)
        return sent

    def _about(self, call: Guarded, stage: Stage, system: tuple[str, ...] = ()) -> About:
        return About(stage=stage, route=self._route, key_id=self._key_id, user=call.user or "", system=system)

    async def _look(self, checker: Checker, reading: Reading, *, ids: bool) -> None:
        if ids:
            _cannot_read(checker)
        if checker.program.documents:
            checker.document(reading.document(), checker.program.documents)
        for leaf in list(reading.leaves()):
            edit_leaf(leaf, partial(checker.text, role=leaf.role))
        _raise(checker)
        if self._programs.input.whole:
            await self._judge(checker, list(reading.leaves()))
            _raise(checker)

    async def _judge(self, checker: Checker, found: list[Leaf]) -> None:
        for leaf in found:
            if leaf.text:
                leaf.holder[leaf.name] = checker.judge(leaf.text, role=leaf.role)
        _raise(checker)
        if not checker.program.remotes:
            return
        free = asyncio.Semaphore(AT_ONCE)

        async def ask(leaf: Leaf) -> None:
            async with free:
                if checker.tally.error is None:
                    new = await checker.ask(leaf.text, self._transport, role=leaf.role)
                    leaf.holder[leaf.name] = new

        async with asyncio.TaskGroup() as group:
            for leaf in found:
                if leaf.text:
                    group.create_task(ask(leaf))

    def _look_at_answer(
        self, call: Guarded, envelope: Envelope, operation: Operation, tokens: Tokens
    ) -> None:
        side = self._programs.restoring if tokens.originals else self._programs.output
        if side.idle or operation not in ANSWERED:
            return
        system: tuple[str, ...] = ()
        if self._programs.needs_system:
            system = Reading(envelope, operation).system()
        about = self._about(call, Stage.OUTPUT, system)
        call.hook = self._answer = AnswerGuards(
            side, about, tokens, operation=operation, transport=self._transport
        )

    async def recheck(self, body: bytes) -> bytes:
        """Return a whole answer that did not come from a provider now (the cache's) as the guards let it pass."""
        return body if self._answer is None else await self._answer.body(body)

    async def afterwards(self, call: Guarded) -> None:
        """Ask those guards of the answer that nobody waited for; to be called when it has gone out."""
        if self._answer is not None:
            await self._answer.afterwards(call.output)

    def close(self, call: Guarded) -> None:
        """Write the verdicts about the answer on the call; to be called once, however the call ended."""
        answer, self._answer = self._answer, None
        if answer is not None:
            call.events += told(answer.close(), self._count)


def _raise(checker: Checker) -> None:
    if checker.tally.error is not None:
        raise checker.tally.error


def _cannot_read(checker: Checker) -> None:
    """Take note that guards of texts cannot do their work; raises Invalid when one of them is to refuse calls then."""
    for entry in checker.program.entries:
        if entry.guard is None or isinstance(entry.guard, DocumentGuard):
            continue
        checker.tally.failed(entry, "token_ids")
        if entry.on_error is OnError.CLOSED:
            raise refuse_token_ids(entry.label)
