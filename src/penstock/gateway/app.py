"""The gateway as a raw ASGI callable, in front of the router: no middleware, no framework, no SQL on its path."""

import asyncio
from functools import partial
from typing import Any

import msgspec

from penstock.core import clock, log, net
from penstock.core.errors import (
    Invalid,
    LimitExceeded,
    NotFound,
    PenstockError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from penstock.core.home import Home
from penstock.core.http.families import render_error
from penstock.core.scope import Actor, Role
from penstock.core.suggest import did_you_mean
from penstock.gateway import listing, metrics, snapshot
from penstock.gateway.arrays import ArraySend, wants_array
from penstock.gateway.asking import user_of
from penstock.gateway.batches.app import FilesApp, Request
from penstock.gateway.beside import Beside
from penstock.gateway.billing import Billing
from penstock.gateway.cache.cache import Cache
from penstock.gateway.call import Call, Headers, Receive, Send
from penstock.gateway.credentials import check_origin, key_parameter, scope_of, secret_of
from penstock.gateway.dividing.choosing import enter, with_members
from penstock.gateway.dividing.copying import Copier
from penstock.gateway.dividing.journal import ArmJournal
from penstock.gateway.guarding.guarding import Guarding
from penstock.gateway.guarding.transport import GuardTransport
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.measuring import Measurer
from penstock.gateway.opening import Opener
from penstock.gateway.paths import GEMINI_PREFIX, MODELS, PLACES, PREFIX, Place, listed_model, place_of
from penstock.gateway.pipeline import DEFAULT_MODELS, Pipeline, require_members
from penstock.gateway.prompting.expanding import Prompting, PromptSplits
from penstock.gateway.prompting.shelf import Shelf
from penstock.gateway.relaying import Relayer
from penstock.gateway.responses.app import ResponsesApp
from penstock.gateway.responses.storing import ResponseStore
from penstock.gateway.routing.live import LiveRoute
from penstock.gateway.routing.publisher import HealthPublisher
from penstock.gateway.settings import GatewaySettings
from penstock.gateway.snapshot import Caller, Table
from penstock.gateway.telemetry import Telemetry
from penstock.gateway.tracing import Recorder
from penstock.gateway.upstream.client import UpstreamClient
from penstock.gateway.upstream.pool import PoolLimits
from penstock.gateway.waiting.waking import Waker
from penstock.gateway.watch import SnapshotWatch
from penstock.guardrails import service as guardrails
from penstock.traces.service import PriceTable

_log = log.get("gateway")
OTLP = frozenset({"/v1/traces", "/v1/logs", "/v1/metrics"})
INTERNAL = "penstock.caller"
"""Member of the ASGI scope by which work inside this process says who calls (see `caller_of`); servers never set it."""
LEFT = 499
"""The status noted in the trace of a call whose caller left (nginx's convention)."""


class _WrongMethod(PenstockError):
    """The path is known, the method is not for it."""

    code = "method_not_allowed"
    status = 405


class GatewayApp:
    """Serves `/v1/*`. `start` and `stop` belong into the server's lifespan; without them the first call starts it.

    One instance per event loop. It never closes the recorder, which belongs to the caller.
    """

    def __init__(
        self, home: Home, recorder: Recorder, *, client: UpstreamClient | None = None, leave: float = 0.0
    ) -> None:
        """Load the configuration of `home`; raises what reading the store raises. For `leave` see `Limiter`."""
        self._settings = home.settings.section(GatewaySettings)
        self._journal = ArmJournal(home)
        self._telemetry = Telemetry(recorder, capture=self._settings.capture_bodies, journal=self._journal)
        self._guard_transport = GuardTransport()
        self._guarding = Guarding(
            partial(guardrails.load_current, home),
            self._guard_transport,
            revision=partial(guardrails.revision, home),
        )
        shelf = Shelf(home)
        self._prompting = Prompting(shelf, self._prompt_splits)
        self._watch = SnapshotWatch(home, also=(self._guarding.refresh, shelf.refresh, self._journal.flush))
        self._publisher = HealthPublisher(home, self._watch.health)
        self._home = home
        self._files = FilesApp(home)
        self._stored = ResponsesApp(home)
        self._responses: ResponseStore | None = None
        self._client = client
        self._relayer: Relayer | None = None
        self._pipeline: Pipeline | None = None
        prices = PriceTable(home)
        self._limiter = Limiter(home, prices, leave=leave)
        self._billing = Billing(prices, self._limiter)
        self.cache = Cache(home)
        self._max_body = self._settings.max_body_mb * 1024 * 1024
        self.in_flight = 0
        """Calls being carried right now."""
        metrics.IN_FLIGHT.watch(lambda: self.in_flight)

    @staticmethod
    def handles(path: str) -> bool:
        """Whether `path` belongs to the gateway (and not to OTLP, which shares the prefix)."""
        return path.startswith((PREFIX, GEMINI_PREFIX)) and path not in OTLP

    async def start(self) -> None:
        """Open the client and keep the configuration fresh from now on."""
        if self._relayer is None:
            limits = PoolLimits(connections=self._settings.connections_per_provider)
            client = self._client = self._client or UpstreamClient(
                limits=limits, check_address=_check_address
            )
            record, price = self._telemetry.record, self._billing.price
            opener = Opener(
                client, self._settings.max_answer_mb * 1024 * 1024, Waker(self._home, self._watch)
            )
            self._responses = ResponseStore(self._home)
            copier = Copier(self._route, self._guarding, self._responses)
            beside = Beside(self._billing, self._limiter)
            self._relayer = Relayer(
                opener, self._settings, record=record, price=price, copier=copier, beside=beside
            )
            seconds = self._settings.cache_embedder_seconds
            self.cache.embed = Measurer(
                opener, self._watch, record=record, beside=beside, seconds=seconds
            ).embed
            self._guard_transport.client = client
            self._pipeline = Pipeline(
                self._relayer, self._billing, self.cache, guarding=self._guarding, responses=self._responses
            )
            await asyncio.to_thread(self._open)
        await self._watch.start()
        await self._publisher.start()

    async def stop(self) -> None:
        """Stop watching and close idle connections; calls in flight end on their own."""
        await self._watch.stop()
        await self._publisher.stop()
        if self._relayer is not None:
            await self._relayer.close()
        if self._responses is not None:
            await self._responses.close()
        if self._client is not None:
            await self._client.close()
            await asyncio.to_thread(self._close)
        await asyncio.to_thread(self._journal.flush)
        self._client = self._relayer = self._pipeline = self._responses = self._guard_transport.client = None

    def _open(self) -> None:
        self._limiter.start()
        self.cache.start()

    def _close(self) -> None:
        self._limiter.close()
        self.cache.close()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        headers: Headers = dict(scope["headers"])
        path: str = scope["path"]
        place = place_of(path, headers)
        if place.stream and wants_array(scope.get("query_string", b"")):
            send = ArraySend(send)
        call = Call(path, place.family, headers, receive, send)
        call.caller = scope.get(INTERNAL)
        query = scope.get("query_string")
        if query and b"key=" in query:
            call.key = key_parameter(query)
        if self._relayer is None or not self._watch.running:
            await self.start()
        assert self._client is not None
        self.in_flight += 1
        self._client.ticker.add(call)
        try:
            if place.operation is None and (self._files.handles(path) or self._stored.handles(path)):
                await self._serve_files(call, scope)
            else:
                await self._serve(call, place, scope["method"])
        except PenstockError as error:
            await self._fail(call, error)
        except asyncio.CancelledError:
            await self._cancelled(call)
        except Exception as error:  # noqa: BLE001 - the edge: whatever happened, the caller gets an answer
            _log.exception("call %s failed", call.request_id)
            await self._fail(
                call, PenstockError("Something went wrong inside Penstock.", hint=type(error).__name__)
            )
        finally:
            self.in_flight -= 1
            self._finish(call)

    async def _cancelled(self, call: Call) -> None:
        """Settle a call that was cancelled by its own clock; any other cancellation goes on."""
        if not call.gone and not call.stalled:
            raise asyncio.CancelledError
        if call.task is not None:
            call.task.uncancel()
        if call.stalled:
            await self._fail(
                call, Invalid("The request body stopped coming.", details={"code": "body_timeout"})
            )
        else:
            call.status, call.error = LEFT, "The caller left before the answer was complete."

    def _finish(self, call: Call) -> None:
        if self._client is not None:
            self._client.ticker.discard(call)
        call.end_ns = max(call.start_ns, clock.now_ns())  # the clock may have been set back
        call.close()
        self._telemetry.ended(call)

    async def _fail(self, call: Call, error: PenstockError) -> None:
        call.error = str(error)
        if isinstance(error, LimitExceeded) and call.target is None:
            self._telemetry.refused(call, error)
        if call.started:
            return  # the head is out and the stream cannot go on: the server cuts the connection
        status, headers, body = render_error(error, call.family, call.request_id)
        own = {b"content-type", b"x-request-id", b"request-id"}
        more = [pair for pair in headers if pair[0] not in own]
        if isinstance(error, LimitExceeded) and call.target is None and (limit := error.details.get("limit")):
            more.append((b"x-penstock-limit", str(limit).encode()))
        if isinstance(error, _WrongMethod):
            more.append((b"allow", error.hint.removeprefix("Use ").removesuffix(".").encode()))
        await call.answer(status, body, more)

    # -- the way of a call ---------------------------------------------------------------------------------

    async def _serve(self, call: Call, place: Place, method: str) -> None:
        if self.in_flight > self._settings.max_in_flight:
            raise Unavailable("The gateway is at its limit of calls at once.", retry_after=1)
        operation = place.operation
        if operation is None:
            await self._models(call, method)
            return
        if method != "POST":
            raise _WrongMethod(f"{call.path} does not take {method}.", hint="Use POST.")
        call.operation = operation
        await self._admit(call)
        default = DEFAULT_MODELS.get(operation, "")
        envelope = call.envelope = await self._prompting.read(
            call, await self._body(call), operation, model=place.model, stream=place.stream, default=default
        )
        require_members(operation, envelope)
        call.user = user_of(call.headers, envelope)
        route = await self._route(call, envelope.model)
        call.route = route.name
        if route.members:
            envelope = with_members(call, envelope, route.members)
        if route.split is not None and call.arm is None:
            route, envelope = enter(call, route, route.split, envelope)
        assert self._pipeline is not None
        await self._pipeline.run(call, route, envelope, operation)

    async def _admit(self, call: Call) -> None:
        """Find out who calls and for which project; raises Unauthenticated or Denied."""
        if call.caller is not None:
            call.scope = call.caller.scope
            return
        secret = secret_of(call.headers, call.key)
        caller = self._watch.current.caller(secret)
        if caller is None:
            caller = (await self._watch.fresh()).caller(secret)
        if caller is None:
            raise Unauthenticated(
                "The API key is not valid.", hint="Make one with `penstock keys create --name NAME`."
            )
        if caller.session:
            check_origin(call.headers)
        call.caller = caller
        call.scope = scope_of(caller, call.headers.get(b"x-penstock-project"))

    async def _body(self, call: Call) -> bytes:
        """Return the request body; raises TooLarge as soon as that is known, Invalid when it stops coming."""
        declared = call.headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._max_body:
            raise self._too_large()
        loop = asyncio.get_running_loop()
        parts: list[bytes] = []
        size = 0
        while True:
            call.body_by = loop.time() + self._settings.body_seconds
            message = await call.receive()
            call.body_by = 0.0
            if message["type"] == "http.disconnect":
                call.gone = True
                raise asyncio.CancelledError
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise self._too_large()
            if not message.get("more_body", False):
                call.read_at = loop.time()
                return b"".join([*parts, part]) if parts else part
            parts.append(part)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request body is larger than {self._settings.max_body_mb} MB.")

    async def _route(self, call: Call, model: str) -> LiveRoute:
        """Return the route of a model name; raises NotFound with a suggestion."""
        caller = call.caller
        assert caller is not None
        for attempt in range(2):
            table = self._table(call)
            route = table.routes.get(model) or snapshot.direct(table, caller, model, self._watch.health)
            if route is not None and caller.may_call(model):
                return route
            if attempt == 0:
                await self._watch.fresh()
        allowed = [name for name in table.routes if caller.may_call(name)]
        hint = did_you_mean(model, allowed) if table.routes else "No route is configured yet."
        raise NotFound(
            f"The model {model!r} does not exist or this key may not use it.",
            hint=hint,
            details={"code": "model_not_found", "param": "model"},
        )

    def _prompt_splits(self, call: Call) -> PromptSplits:
        return self._table(call).prompts

    def _table(self, call: Call) -> Table:
        assert call.scope is not None
        return self._watch.current.table(call.scope)

    # -- files and batches ---------------------------------------------------------------------------------

    async def _serve_files(self, call: Call, scope: Any) -> None:
        await self._admit(call)
        assert self._client is not None and call.caller is not None and call.scope is not None
        # An upload is read piece by piece; the server's edge watches that it keeps coming, not this clock.
        self._client.ticker.discard(call)

        async def receive() -> Any:
            message = await call.receive()
            call.gone = message["type"] == "http.disconnect"
            return message

        async def send(message: Any) -> None:
            call.started = True
            call.status = message.get("status", call.status)
            await call.send(message)

        caller = call.caller
        actor = Actor(id=caller.key_id, name=caller.name, role=list(Role)[caller.rank], scope=call.scope)
        request = Request(scope["method"], call.path, scope["query_string"], call.headers, receive)
        app = self._stored if self._stored.handles(call.path) else self._files
        await app.handle(request, send, actor, call.identity())

    async def caller_of(self, actor: Actor) -> Caller:
        """Return the caller to name as INTERNAL for calls on behalf of `actor`, a key or a signed-in person.

        Raises Unauthenticated when the key is revoked or expired by now, or the person signed out.
        """
        known = (await self._watch.fresh()).callers.values()
        found = next((caller for caller in known if caller.key_id == actor.id), None)
        if found is None or found.expires_ns < clock.now_ns():
            raise Unauthenticated(f"The key {actor.name!r} is no longer valid.")
        return found._replace(scope=actor.scope, session=False)

    # -- models --------------------------------------------------------------------------------------------

    async def _models(self, call: Call, method: str) -> None:
        found, name = listed_model(call.path)
        if not found:
            raise NotFound(
                f"There is nothing at {call.path}.",
                hint=f"The gateway serves {', '.join([*PLACES, MODELS])}.",
                details={"code": "unknown_url"},
            )
        if method not in ("GET", "HEAD"):
            raise _WrongMethod(f"{call.path} does not take {method}.", hint="Use GET.")
        await self._admit(call)
        if name is None:
            await self._watch.fresh()
            may_call = call.caller.may_call if call.caller is not None else bool
            routes = self._table(call).routes
            names = sorted((name, route.created) for name, route in routes.items() if may_call(name))
            await call.answer(200, listing.models_body(names, call.family))
            return
        route = await self._route(call, name)
        await call.answer(200, msgspec.json.encode(listing.model_json((name, route.created), call.family)))


def _check_address(address: str, allow_private: bool) -> None:
    net.check_address(address, allow_private=allow_private)
