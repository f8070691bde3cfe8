"""What a call passes between its route and its answer: limits, guards on input, cache, provider, bookkeeping."""

from collections.abc import Mapping

from penstock.core.errors import Invalid
from penstock.gateway.billing import Billing
from penstock.gateway.cache.cache import Cache, CachePlan
from penstock.gateway.cache.replay import replay
from penstock.gateway.call import Call
from penstock.gateway.dialects import moderations
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.guarding.guarding import Guarding
from penstock.gateway.guarding.guards import Guards
from penstock.gateway.model import Operation, Usage
from penstock.gateway.relaying import Relayer
from penstock.gateway.responses.storing import ResponseStore
from penstock.gateway.routing.live import LiveRoute
from penstock.traces.prices import Cost

_REQUIRED = {
    Operation.CHAT: "messages",
    Operation.MESSAGES: "messages",
    Operation.COUNT_TOKENS: "messages",
    Operation.COMPLETIONS: "prompt",
    Operation.EMBEDDINGS: "input",
    Operation.MODERATIONS: "input",
    Operation.GENERATE: "contents",
    Operation.EMBED_CONTENT: "content",
    Operation.BATCH_EMBED: "requests",
}
DEFAULT_MODELS: Mapping[Operation, str] = {Operation.MODERATIONS: moderations.DEFAULT_MODEL}
"""The model of a body that need not name one."""
_NOTHING = (b'""', b"[]", b"null")
_FREE = Cost(0.0, "cache")


def require_members(operation: Operation, envelope: Envelope) -> None:
    """Raise Invalid, naming the member, unless the body has what every provider needs for `operation`."""
    name = _REQUIRED.get(operation)
    if name is None:
        return
    raw = envelope.require(name)
    if operation in (Operation.CHAT, Operation.MESSAGES) and memoryview(raw)[0] != ord("["):
        raise Invalid(
            "The field messages must be a list.", details={"param": "messages", "code": "invalid_value"}
        )
    if operation is Operation.EMBEDDINGS and b"".join(bytes(raw).split()) in _NOTHING:
        raise Invalid("The field input is empty.", details={"param": "input", "code": "invalid_value"})


class Pipeline:
    """Carries calls of one process."""

    def __init__(
        self,
        relayer: Relayer,
        billing: Billing,
        cache: Cache,
        *,
        guarding: Guarding,
        responses: ResponseStore,
    ) -> None:
        self._relayer = relayer
        self._billing = billing
        self._cache = cache
        self._guarding = guarding
        self._responses = responses

    async def run(self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation) -> None:
        """Answer `call`; raises the error that the caller gets."""
        if operation is Operation.RESPONSES:
            envelope = await self._expanded(call, envelope)
        await self._billing.reserve(call, route, envelope, operation)
        guards = self._guarding.for_call(call, route.name)
        try:
            if guards is None:
                await self._carry(call, route, envelope, operation)
            else:
                await self._guarded(call, route, envelope, operation, guards)
        finally:
            self._billing.settle(call)

    async def _expanded(self, call: Call, envelope: Envelope) -> Envelope:
        """Return the request with the conversation it goes on from, and let the answer be stored."""
        assert call.scope is not None and call.caller is not None
        prepared = await self._responses.prepare(call.scope, call.caller.key_id, envelope)
        call.envelope = prepared.envelope
        call.send = prepared.sending(call.send)
        return prepared.envelope

    async def _guarded(
        self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation, guards: Guards
    ) -> None:
        call.unguarded = envelope
        try:
            sent = await guards.admit(call, envelope, operation)
            await self._carry(call, route, sent, operation, guards=guards)
            await guards.afterwards(call)
        finally:
            guards.close(call)

    async def _carry(
        self,
        call: Call,
        route: LiveRoute,
        envelope: Envelope,
        operation: Operation,
        *,
        guards: Guards | None = None,
    ) -> None:
        # What is kept holds stand-ins, as does the request by which it is found: each caller gets his own originals.
        variant = "" if guards is None else guards.stand_ins
        if call.arm is not None:  # an answer of one arm is none of another's
            variant = f"{variant}\0{call.arm.split.release}/{call.arm.name}"
        plan = self._plan(call, route, envelope, operation, variant)
        if plan is not None and await self._from_cache(call, plan, envelope, operation, guards=guards):
            return
        await self._relayer.run(call, route, envelope, operation)
        if plan is not None and call.error is None and call.output is not None:
            body = call.output()
            if body is not None:
                await plan.keep(body, streamed=envelope.stream)

    def _plan(
        self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation, variant: str
    ) -> CachePlan | None:
        assert call.scope is not None
        key = call.caller.key_id if call.caller is not None else None
        return self._cache.plan(
            call.scope, route.name, key, operation, call.headers, envelope, variant=variant
        )

    async def _from_cache(
        self,
        call: Call,
        plan: CachePlan,
        envelope: Envelope,
        operation: Operation,
        *,
        guards: Guards | None,
    ) -> bool:
        """Answer from the cache if it can; returns whether it did."""
        hit = await plan.find()
        call.cache = plan.state
        call.extra += plan.headers(hit)
        if hit is None:
            return False
        # Kept under another key or an older policy, it may never have passed the guards of this call.
        body = hit.body if guards is None else await guards.recheck(hit.body)
        call.cost, call.usage = _FREE, Usage()
        call.notes["cache_match"] = hit.kind
        if hit.kind == "semantic":
            call.notes["similarity"] = round(hit.similarity, 4)
        call.answered = True
        call.output = (lambda: body) if call.hook is None else call.hook.recorded
        if envelope.stream:
            await _replay(call, body, envelope, operation)
        else:
            await call.answer(200, body)
        return True


async def _replay(call: Call, body: bytes, envelope: Envelope, operation: Operation) -> None:
    await call.begin_stream()
    for piece in replay(operation, body, include_usage=envelope.include_usage):
        await call.send({"type": "http.response.body", "body": piece, "more_body": True})
    await call.send({"type": "http.response.body", "body": b""})
