"""Guards of one call's answer, whole or streamed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.base import Answer, Relay
from penstock.gateway.guarding.answers import document_of, edit_answer, edit_leaf, forget_tokens, read, texts
from penstock.gateway.guarding.held import judged
from penstock.gateway.guarding.leaves import Kind
from penstock.gateway.guarding.programs import Side
from penstock.gateway.guarding.relay import GuardedRelay
from penstock.gateway.guarding.verdicts import gathered
from penstock.gateway.model import Operation
from penstock.guardrails.checking import Checker
from penstock.guardrails.model import About, Verdict
from penstock.guardrails.ports import Transport
from penstock.guardrails.tokens import Tokens

_encode = msgspec.json.Encoder().encode


class AnswerGuards:
    """Implements `gateway.hooks.AnswerHook`."""

    def __init__(
        self, side: Side, about: About, tokens: Tokens, *, operation: Operation, transport: Transport
    ) -> None:
        self._side = side
        self._about = about
        self._tokens = tokens
        self._operation = operation
        self._transport = transport
        self._checkers: list[Checker] = []
        self._relays: list[GuardedRelay] = []
        self._became: Mapping[str, str] = {}
        self._recorded: bytes | None = None
        self._asked = False

    def _checker(self) -> Checker:
        return Checker(self._side.program, self._about, self._tokens)

    def _unrestoring(self) -> Checker:
        """Return a checker that leaves stand-ins where they are; what it finds is known already."""
        return Checker(self._side.program, self._about, Tokens())

    @property
    def holds(self) -> bool:
        """Whether a guard judges whole texts, so that a stream waits for its end."""
        program = self._side.program
        return bool(program.judges) or any(entry.guard.holds for entry in program.remotes)

    def close(self) -> list[Verdict]:
        """Return what the guards said about the answer; nothing more of it may follow."""
        tallies = [checker.tally for checker in self._checkers]
        # The relays refer back: with them here, all would stay until the collector comes by.
        relays, self._relays = self._relays, []
        return gathered([*tallies, *(tally for relay in relays for tally in relay.tallies())])

    # -- whole answers -------------------------------------------------------------------------------------

    async def answer(self, answer: Answer) -> Answer:
        """Return the answer as the guards let it pass; raises what refuses it."""
        body = await self.body(answer.body)
        return answer if body is answer.body else answer._replace(body=body)

    async def body(self, body: bytes) -> bytes:
        """Return a whole answer's body as the guards let it pass; raises what refuses it."""
        self._recorded = body
        if not self._side.concerned(body):
            return body
        found = read(body)
        checker = self._checker()
        self._checkers.append(checker)
        changed = edit_answer(found, self._operation, checker.text)
        documents = checker.program.documents
        if documents:
            checker.document(document_of(found, self._operation, len(body)), documents)
        _raise(checker)
        if self._side.whole:
            self._asked = True
            changed |= await self._judge_tree(found, checker)
            _raise(checker)
        if not changed:
            return body
        out = _encode(found)
        self._recorded = self._with_stand_ins(body) if self._tokens.originals else out
        return out

    def _with_stand_ins(self, body: bytes) -> bytes:
        """Return the answer `body` as guards let it pass, but for originals that were put back."""
        if not self._side.concerned(body) or (found := read(body)) is None:
            return body
        restoring, plain = self._checker(), self._unrestoring()
        changed = False
        for leaf in list(texts(found, self._operation)):
            old = leaf.text
            if self._became:
                edit_leaf(leaf, restoring.text)
            new = self._became.get(leaf.text)
            if new is None:
                leaf.holder[leaf.name] = old
                edit_leaf(leaf, plain.text)
            else:
                leaf.holder[leaf.name] = self._tokens.hidden(new)
            changed |= leaf.text != old
        if not changed:
            return body
        forget_tokens(found)
        return _encode(found)

    def recorded(self) -> bytes | None:
        """Return the last whole answer with stand-ins where originals were put back."""
        return self._recorded

    async def _judge_tree(self, found: Any, checker: Checker) -> bool:
        became: dict[str, str] = {}
        for leaf in list(texts(found, self._operation)):
            old = leaf.text
            new = await self._judged(checker, old, leaf.kind)
            if new != old:
                leaf.holder[leaf.name] = became[old] = new
        self._became = became
        if became:
            forget_tokens(found)
        return bool(became)

    async def _judged(self, checker: Checker, text: str, kind: Kind) -> str:
        if not text:
            return text
        if kind is Kind.TEXT:
            text = checker.judge(text)
        return text if checker.tally.error is not None else await checker.ask(text, self._transport)

    # -- streams -------------------------------------------------------------------------------------------

    def relay(self, relay: Relay) -> Relay:
        """Return `relay` behind the guards."""
        guarded = GuardedRelay(relay, self._operation, self._checker, self._with_stand_ins)
        self._relays.append(guarded)
        return guarded

    async def release(self, stream: bytes) -> bytes:
        """Return the stream that was held back, as the guards let it pass; raises what refuses it."""
        checker = self._checker()
        self._checkers.append(checker)
        self._asked = True
        out, self._became = await judged(
            stream, self._operation, lambda text, kind: self._judged(checker, text, kind)
        )
        if checker.tally.error is not None:
            for relay in self._relays:
                relay.refuse(checker.tally.error)
        _raise(checker)
        return out

    async def afterwards(self, output: Callable[[], bytes | None] | None) -> None:
        """Ask the guards that streams do not wait for about the answer that went out; they can only flag."""
        if self._asked or output is None or not self._side.program.remotes:
            return
        self._asked = True
        body = output()
        if not self._relays or body is None or all(relay.fault is not None for relay in self._relays):
            return
        checker = self._checker()
        self._checkers.append(checker)
        for leaf in texts(read(body), self._operation):
            if leaf.text:
                await checker.ask(leaf.text, self._transport, late=True)


def _raise(checker: Checker) -> None:
    if checker.tally.error is not None:
        raise checker.tally.error
