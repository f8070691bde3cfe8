"""What a copy of a call asks, and of whom: worked out in the copy's own task, so that no caller waits for it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from penstock.gateway.call import Call, Rewritten
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.guarding.guarding import Guarding
from penstock.gateway.guarding.guards import Guards
from penstock.gateway.model import Operation
from penstock.gateway.responses.storing import ResponseStore
from penstock.gateway.routing.live import LiveRoute, LiveShadow, LiveTarget

RouteOf = Callable[[Call, str], Awaitable[LiveRoute]]
"""(call, model) → the route that the caller means; raises NotFound."""


class Copied(NamedTuple):
    """A copy ready to be sent."""

    envelope: Envelope
    target: LiveTarget
    guards: Guards | None


class Copier:
    """Makes the requests of copies."""

    def __init__(self, route_of: RouteOf, guarding: Guarding, responses: ResponseStore) -> None:
        self._route_of = route_of
        self._guarding = guarding
        self._responses = responses

    async def copied(
        self, call: Call, made: Call, shadow: LiveShadow, envelope: Envelope, *, first: LiveTarget
    ) -> Copied:
        """Return what `made`, the copy of `call`, asks.

        Of a release it is what the caller asked for, changed as its arm says, and passes guards of its own: what they
        say of it is the arm's. Otherwise it is `envelope`, as the guards let the call pass. `first` is where the call
        itself goes. Raises what stands against it, which then is the copy's failure.
        """
        assert made.operation is not None
        if not shadow.arm:
            return Copied(envelope, _target(shadow, first), None)
        envelope = call.unguarded or envelope
        if call.rewritten is not None:
            envelope, route = await self._rewritten(call, made, call.rewritten)
            first = first if route.name == call.route else route.picker.peek()[0]
        if shadow.members:
            envelope = _with(envelope, shadow)
        made.envelope = envelope
        guards = self._guarding.for_call(call, call.route)
        if guards is not None:
            made.user = call.user
            try:
                envelope = await guards.admit(made, envelope, made.operation)
            except BaseException:
                guards.close(made)
                raise
            finally:
                made.user = None  # what the copy costs is not the user's
        return Copied(envelope, _target(shadow, first), guards)

    async def _rewritten(self, call: Call, made: Call, rewritten: Rewritten) -> tuple[Envelope, LiveRoute]:
        """Return the request with the arm's version of the prompt, and the route of the model it names."""
        body, made.prompt = await rewritten.write()
        envelope = Envelope(body)
        assert call.scope is not None and call.caller is not None
        if made.operation is Operation.RESPONSES:
            envelope = (await self._responses.prepare(call.scope, call.caller.key_id, envelope)).envelope
        route = await self._route_of(call, envelope.model)
        if route.members:
            envelope = Envelope(
                envelope.with_fields(dict(route.members)), model=envelope.model, stream=envelope.stream
            )
        return envelope, route


def _with(envelope: Envelope, shadow: LiveShadow) -> Envelope:
    body = envelope.with_fields(dict(shadow.members))
    return Envelope(body, model=envelope.model, stream=envelope.stream)


def _target(shadow: LiveShadow, first: LiveTarget) -> LiveTarget:
    return first if shadow.picker is None else shadow.picker.order()[0]
