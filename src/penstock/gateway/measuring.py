"""Vectors of texts from a provider's embedding model, for the cache: calls of the gateway's own, traced like others."""

import asyncio
from collections.abc import Callable

import msgspec

from penstock.core import clock
from penstock.core.errors import NotFound, PenstockError, Upstream, UpstreamTimeout
from penstock.core.scope import Scope
from penstock.gateway.beside import Beside
from penstock.gateway.cache.model import Embedder
from penstock.gateway.call import Call, Message
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.limits.model import Aside
from penstock.gateway.model import Operation
from penstock.gateway.opening import Opened, Opener
from penstock.gateway.routing import build
from penstock.gateway.routing.live import LiveTarget
from penstock.gateway.watch import SnapshotWatch

OfCall = Callable[[Call], None]


class _Vector(msgspec.Struct):
    embedding: list[float]


class _Vectors(msgspec.Struct):
    data: list[_Vector]


_vectors = msgspec.json.Decoder(_Vectors)


class Measurer:
    """Asks embedding models. Each call is a span of its own, tagged `cache`, with its cost, billed to no key.

    It counts on the budgets of the route, the project and the tenant.
    """

    def __init__(
        self, opener: Opener, watch: SnapshotWatch, *, record: OfCall, beside: Beside, seconds: float
    ) -> None:
        """`seconds` bounds a measurement, be it that the model's deployment sleeps: a caller waits for it."""
        self._opener = opener
        self._watch = watch
        self._record = record
        self._beside = beside
        self._seconds = seconds

    async def embed(self, scope: Scope, named: str, embedder: Embedder, text: str) -> list[float]:
        """Return the vector of `text`, for the cache of the route `named`.

        Raises NotFound for an unknown provider, LimitExceeded where a budget does not allow it, UpstreamTimeout, and
        what asking raises.
        """
        provider = self._watch.current.table(scope).providers.get(embedder.provider)
        if provider is None:
            raise NotFound(f"The cache's embedder wants the unknown provider {embedder.provider!r}.")
        route = build.direct(provider, embedder.model, self._watch.health)
        body = msgspec.json.encode({"model": embedder.model, "input": text, "encoding_format": "float"})
        envelope = Envelope(body)
        call = _call(scope, envelope)
        target, call.route = route.picker.order()[0], named
        await self._beside.measurement(call, target, envelope)
        call.target, call.attempts = target, 1
        try:
            return await self._ask(call, target, envelope)
        except PenstockError as error:
            call.status, call.error = error.status, str(error)
            raise
        finally:
            call.end_ns = max(call.start_ns, clock.now_ns())
            call.close()
            self._beside.settle(call, Aside.EMBEDDER)
            self._record(call)

    async def _ask(self, call: Call, target: LiveTarget, envelope: Envelope) -> list[float]:
        opened = await self._open(call, target, envelope)
        try:
            found = _read(call, opened)
        except BaseException as error:
            opened.close(error)
            raise
        opened.close()
        call.status = 200
        return found

    async def _open(self, call: Call, target: LiveTarget, envelope: Envelope) -> Opened:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._opener.open(call, target, envelope, Operation.EMBEDDINGS)
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"The cache's embedder took too long: {self._seconds:g} seconds.",
                hint="[gateway] cache_embedder_seconds says how long a call waits for it.",
            ) from error


def _call(scope: Scope, envelope: Envelope) -> Call:
    call = Call("/v1/embeddings", "openai", {b"x-penstock-tags": b"cache"}, _nothing, _discard)
    call.scope, call.envelope, call.operation = scope, envelope, Operation.EMBEDDINGS
    return call


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _discard(message: Message) -> None:
    """Nobody waits for the answer but the cache."""


def _read(call: Call, opened: Opened) -> list[float]:
    answer = opened.answer
    if answer is None:
        raise Upstream("The cache's embedder answered with a stream.")
    call.answered = True
    call.usage, call.answer_model = answer.usage, answer.model
    try:
        return _vectors.decode(answer.body).data[0].embedding
    except (msgspec.DecodeError, IndexError) as error:
        raise Upstream("The cache's embedder answered without a vector.") from error
