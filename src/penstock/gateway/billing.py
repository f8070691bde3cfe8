"""What calls cost: reserved before they are sent, booked when they are over."""

import msgspec

from penstock.core.errors import LimitExceeded
from penstock.core.scope import Scope
from penstock.gateway.call import Call
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import Subject
from penstock.gateway.model import Operation, Usage
from penstock.gateway.routing.live import LiveRoute, LiveTarget
from penstock.traces.prices import Cost
from penstock.traces.service import PriceTable

BYTES_PER_TOKEN = 4
"""Rough size of a token in English text, for the estimate when a provider reports no usage."""
_SILENT = frozenset(
    {
        Operation.EMBEDDINGS,
        Operation.MODERATIONS,
        Operation.COUNT_TOKENS,
        Operation.GEMINI_COUNT,
        Operation.EMBED_CONTENT,
        Operation.BATCH_EMBED,
    }
)
"""Operations that write no tokens."""
FREE_OPERATIONS = frozenset({Operation.MODERATIONS, Operation.COUNT_TOKENS, Operation.GEMINI_COUNT})
"""Operations that no provider bills."""
_MOST = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_count = msgspec.json.Decoder(int | None)


class _Generation(msgspec.Struct):
    most: int | None = msgspec.field(default=None, name="maxOutputTokens")
    choices: int | None = msgspec.field(default=None, name="candidateCount")


_generation = msgspec.json.Decoder(_Generation | None)


def _member(envelope: Envelope, name: str) -> int | None:
    raw = envelope.fields.get(name)
    if raw is None:
        return None
    try:
        found: int | None = _count.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found


def most_output(operation: Operation, envelope: Envelope) -> int | None:
    """Return the most tokens that a call may write, or None when it names no limit."""
    if operation in _SILENT:
        return 0
    if operation is Operation.GENERATE:
        raw = envelope.fields.get("generationConfig") or envelope.fields.get("generation_config")
        try:
            found = _generation.decode(raw) if raw is not None else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return None if found is None or found.most is None else found.most * max(1, found.choices or 1)
    for name in _MOST:
        most = _member(envelope, name)
        if most is not None:
            return max(0, most) * max(1, _member(envelope, "n") or 1)
    return None


class Billing:
    """Prices, reserves and books the calls of one process."""

    def __init__(self, prices: PriceTable, limiter: Limiter) -> None:
        self._prices = prices
        self._limiter = limiter

    async def reserve(self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation) -> None:
        """Set the call's ticket; raises LimitExceeded when a limit or budget does not allow the call."""
        limiter, scope, caller = self._limiter, call.scope, call.caller
        if not limiter.any or scope is None or caller is None:
            return
        subject = Subject(scope.tenant, scope.project, caller.key_id, call.user or "", route.name)
        ask = limiter.estimator.ask(
            scope,
            route.priced,
            body_bytes=len(envelope.body),
            max_output_tokens=most_output(operation, envelope),
        )
        if operation in FREE_OPERATIONS:
            ask = ask._replace(input_tokens=0, usd=0.0)
        try:
            call.ticket = limiter.try_admit(subject, ask) or await limiter.admit(subject, ask)
        except LimitExceeded:
            call.extra += limiter.headers(subject, call.family)
            raise
        call.extra += call.ticket.headers(call.family)

    def price(self, call: Call) -> None:
        """Settle on what the call used and what that costs; an answer without counts is estimated by its size."""
        if call.priced:
            return
        usage = call.usage
        if usage is None:
            if not call.answered:
                return
            usage = call.usage = self._estimated(call)
            call.estimated = call.operation not in FREE_OPERATIONS
        call.priced = True
        if call.cost is None and call.scope is not None:
            call.cost = self._cost(call, call.scope, usage)

    @staticmethod
    def _estimated(call: Call) -> Usage:
        if call.operation in FREE_OPERATIONS:
            return Usage()
        given = len(call.envelope.body) if call.envelope is not None else 0
        output = call.output() if call.output is not None and call.operation not in _SILENT else None
        return Usage(given // BYTES_PER_TOKEN, len(output or b"") // BYTES_PER_TOKEN)

    def _cost(self, call: Call, scope: Scope, usage: Usage) -> Cost | None:
        """Return the project's own price for the model or its route, else the book's for the model."""
        target = call.target
        if target is None or call.operation in FREE_OPERATIONS:
            return None
        return self.cost_at(call, scope, target, call.answer_model, usage)

    def cost_at(
        self, call: Call, scope: Scope, target: LiveTarget, answered: str, usage: Usage
    ) -> Cost | None:
        """Return what `usage` of a call costs at `target`, whose own name of the model is `answered`."""
        first: Cost | None = None
        alias = call.envelope.model if call.envelope is not None else ""
        for model in dict.fromkeys((answered or target.model, target.model, alias)):
            found = self._prices.cost(scope, model, target.provider.name, usage)
            if found is None:
                continue
            if found.version.startswith("own:"):
                return found
            if first is None and model != alias:
                first = found
        return first

    def settle(self, call: Call) -> None:
        """Book what the call used.

        One that a provider refused or never got costs nothing, one that was given up while a provider worked on it
        what was reserved.
        """
        self.price(call)
        ticket, call.ticket = call.ticket, None
        if ticket is None:
            return
        if call.untold and not call.answered and call.operation not in FREE_OPERATIONS:
            ticket.keep()
            return
        usage = call.usage or Usage()
        free = not call.answered or call.operation in FREE_OPERATIONS
        cost = 0.0 if free else None if call.cost is None else call.cost.usd
        ticket.settle(usage.input, usage.output, cost)
