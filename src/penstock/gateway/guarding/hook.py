"""Guards of one call's answer, whole or streamed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.base import Answer, Relay
from penstock.gateway.guarding.answers import document_of, edit_answer, forget_tokens, read, texts
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
        self._asked = False

    def _checker(self) -> Checker:
        return Checker(self._side.program, self._about, self._tokens)

    @property
    def holds(self) -> bool:
        """Whether a guard judges whole texts, so that a stream waits for its end."""
        program = self._side.program
        return bool(program.judges) or any(entry.guard.holds for entry in program.remotes)

    def verdicts(self) -> list[Verdict]:
        """Return what the guards said about the answer so far."""
        tallies = [checker.tally for checker in self._checkers]
        return gathered([*tallies, *(tally for relay in self._relays for tally in relay.tallies())])

    # -- whole answers -------------------------------------------------------------------------------------

    async def answer(self, answer: Answer) -> Answer:
        """Return the answer as the guards let it pass; raises what refuses it."""
        body = await self.body(answer.body)
        return answer if body is answer.body else answer._replace(body=body)

    async def body(self, body: bytes) -> bytes:
        """Return a whole answer's body as the guards let it pass; raises what refuses it."""
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
        return _encode(found) if changed else body

    async def _judge_tree(self, found: Any, checker: Checker) -> bool:
        changed = False
        for leaf in list(texts(found, self._operation)):
            new = await self._judged(checker, leaf.text, leaf.kind)
            if new != leaf.text:
                leaf.holder[leaf.name] = new
                changed = True
        if changed:
            forget_tokens(found)
        return changed

    async def _judged(self, checker: Checker, text: str, kind: Kind) -> str:
        if not text:
            return text
        if kind is Kind.TEXT:
            text = checker.judge(text)
        return text if checker.tally.error is not None else await checker.ask(text, self._transport)

    # -- streams -------------------------------------------------------------------------------------------

    def relay(self, relay: Relay) -> Relay:
        """Return `relay` behind the guards."""
        guarded = GuardedRelay(
            relay, self._operation, self._checker, lambda text: self._became.get(text, text)
        )
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
