"""What a call passes between its route and its answer: limits, guards on input, cache, provider, bookkeeping."""

from collections.abc import Mapping

from penstock.core.errors import Invalid
from penstock.gateway.billing import Billing
from penstock.gateway.cache.cache import Cache, CachePlan
from penstock.gateway.cache.model import Hit
from penstock.gateway.cache.replay import replay
from penstock.gateway.call import Call
from penstock.gateway.dialects import moderations
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation, Usage
from penstock.gateway.relaying import Relayer
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
    if operation in (Operation.CHAT, Operation.MESSAGES) and bytes(raw)[:1] != b"[":
        raise Invalid(
            "The field messages must be a list.", details={"param": "messages", "code": "invalid_value"}
        )
    if operation is Operation.EMBEDDINGS and b"".join(bytes(raw).split()) in _NOTHING:
        raise Invalid("The field input is empty.", details={"param": "input", "code": "invalid_value"})


class Pipeline:
    """Carries calls of one process."""

    def __init__(self, relayer: Relayer, billing: Billing, cache: Cache) -> None:
        self._relayer = relayer
        self._billing = billing
        self._cache = cache

    async def run(self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation) -> None:
        """Answer `call`; raises the error that the caller gets."""
        await self._billing.reserve(call, route, envelope, operation)
        try:
            plan = self._plan(call, route, envelope, operation)
            if plan is not None and await self._from_cache(call, plan, envelope, operation):
                return
            await self._relayer.run(call, route, envelope, operation)
            if plan is not None and call.error is None and call.output is not None:
                body = call.output()
                if body is not None:
                    await plan.keep(body, streamed=envelope.stream)
        finally:
            self._billing.settle(call)

    def _plan(
        self, call: Call, route: LiveRoute, envelope: Envelope, operation: Operation
    ) -> CachePlan | None:
        assert call.scope is not None
        key = call.caller.key_id if call.caller is not None else None
        return self._cache.plan(call.scope, route.name, key, operation, call.headers, envelope)

    async def _from_cache(
        self, call: Call, plan: CachePlan, envelope: Envelope, operation: Operation
    ) -> bool:
        """Answer from the cache if it can; returns whether it did."""
        hit = await plan.find()
        call.cache = plan.state
        call.extra += plan.headers(hit)
        if hit is None:
            return False
        call.cost, call.usage = _FREE, Usage()
        call.notes["cache"] = hit.kind
        call.answered = True
        call.output = lambda: hit.body
        if envelope.stream:
            await _replay(call, hit, envelope, operation)
        else:
            await call.answer(200, hit.body)
        return True


async def _replay(call: Call, hit: Hit, envelope: Envelope, operation: Operation) -> None:
    await call.begin_stream()
    for piece in replay(operation, hit.body, include_usage=envelope.include_usage):
        await call.send({"type": "http.response.body", "body": piece, "more_body": True})
    await call.send({"type": "http.response.body", "body": b""})
