"""What costs money beside the answers that callers asked for: reserved before it is sent, booked after it.

Copies of calls, the cache's measurements, the loser of a hedged call, attempts that were given up while a provider
worked on them. All of it counts on budgets, under its own kind, and none of it as a call of rate limits.
"""

from hashlib import blake2b

from penstock.core.errors import Denied
from penstock.core.scope import Scope
from penstock.gateway import metrics
from penstock.gateway.billing import FREE_OPERATIONS, Billing, most_output
from penstock.gateway.call import Call
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.limits.cap import PREFIX
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import Aside, Ask, Budget, Period, Subject, SubjectKind
from penstock.gateway.limits.ticket import FREE, Both, Ticket
from penstock.gateway.model import Operation, Usage
from penstock.gateway.routing.live import LiveShadow, LiveTarget

MEASURE_SECONDS = 0.25
"""Longest wait of a measurement for its reservation: the caller waits for it too."""


class Beside:
    """Reserves and books for one process."""

    def __init__(self, billing: Billing, limiter: Limiter) -> None:
        self._billing = billing
        self._limiter = limiter

    async def attempt(
        self, call: Call, target: LiveTarget, envelope: Envelope, operation: Operation, *, kind: Aside
    ) -> Ticket:
        """Reserve one more attempt of a call at `target`, on every budget that the call falls under.

        Raises LimitExceeded where a budget does not allow it, Denied, Unavailable.
        """
        scope, caller = call.scope, call.caller
        if not self._limiter.any or scope is None or caller is None or operation in FREE_OPERATIONS:
            return FREE
        subject = Subject(scope.tenant, scope.project, caller.key_id, call.user or "", call.route)
        return await self._limiter.aside(subject, self._ask(scope, target, envelope, operation), kind)

    def lost(
        self,
        call: Call,
        target: LiveTarget,
        ticket: Ticket,
        *,
        kind: Aside,
        usage: Usage | None = None,
        model: str = "",
    ) -> None:
        """Book an attempt whose answer nobody got: what it used, or what was reserved where that is unknown."""
        if usage is None or call.scope is None:
            ticket.keep()
            return
        cost = self._billing.cost_at(call, call.scope, target, model, usage)
        ticket.settle(0, 0, None if cost is None else cost.usd)
        if cost is not None:
            call.notes[f"{kind}_usd"] = cost.usd
            metrics.ASIDE.inc(
                call.scope.tenant, call.scope.project, call.route, target.label, str(kind), by=cost.usd
            )

    async def copy(
        self, call: Call, made: Call, shadow: LiveShadow, target: LiveTarget, envelope: Envelope
    ) -> None:
        """Set the ticket of `made`, a copy of `call`; raises why it may not be made.

        It counts on the budgets of the route, the project and the tenant; on those of the caller's key only where
        the route says so (`bill_key`), and never on the user's.
        """
        scope = call.scope
        assert scope is not None and made.operation is not None
        cap = shadow.limits.usd_per_day
        if not self._limiter.any and cap is None:
            return
        ask = self._ask(scope, target, envelope, made.operation)
        capped = FREE if cap is None else await self._capped(scope, shadow, cap, ask, target)
        key = call.caller.key_id if shadow.limits.bill_key and call.caller is not None else ""
        subject = Subject(scope.tenant, scope.project, key, "", call.route)
        try:
            booked = await self._limiter.aside(subject, ask, Aside.COPY)
        except BaseException:
            capped.cancel()
            raise
        made.ticket = booked if cap is None else Both(booked, capped)

    async def _capped(
        self, scope: Scope, shadow: LiveShadow, usd: float, ask: Ask, target: LiveTarget
    ) -> Ticket:
        if ask.usd is None:
            raise Denied(f"The price of {target.label} is unknown, so usd_per_day cannot be kept.")
        return await self._limiter.within(cap_of(scope, shadow.state.name, usd), ask.usd)

    async def measurement(self, made: Call, target: LiveTarget, envelope: Envelope) -> None:
        """Set the ticket of `made`, a measurement for the cache; raises why it may not be made."""
        scope, limiter = made.scope, self._limiter
        if not limiter.any or scope is None:
            return
        subject = Subject(scope.tenant, scope.project, "", "", made.route)
        ask = self._ask(scope, target, envelope, Operation.EMBEDDINGS)
        made.ticket = await limiter.aside(subject, ask, Aside.EMBEDDER, seconds=MEASURE_SECONDS)

    def settle(self, made: Call, kind: Aside) -> None:
        """Book a copy or a measurement that ended, and count what it cost."""
        self._billing.settle(made)
        if made.cost is not None and made.cost.usd and made.scope is not None:
            target = made.target.label if made.target is not None else ""
            metrics.ASIDE.inc(
                made.scope.tenant, made.scope.project, made.route, target, str(kind), by=made.cost.usd
            )

    def _ask(self, scope: Scope, target: LiveTarget, envelope: Envelope, operation: Operation) -> Ask:
        ask = self._limiter.estimator.ask(
            scope,
            ((target.provider.name, target.model),),
            body_bytes=len(envelope.body),
            max_output_tokens=most_output(operation, envelope),
        )
        return ask._replace(input_tokens=0, usd=0.0) if operation in FREE_OPERATIONS else ask


def cap_of(scope: Scope, name: str, usd: float) -> Budget:
    """Return the daily cap on the copies of a route or release, the same in every process."""
    whose = f"{scope.tenant}\0{scope.project}\0{name}"
    return Budget(
        id=PREFIX + blake2b(whose.encode("utf-8", "replace"), digest_size=16).hexdigest(),
        name="copies",
        kind=SubjectKind.ROUTE,
        subject="copies",
        period=Period.DAY,
        usd=usd,
        soft=(),
        tenant=scope.tenant,
        project=scope.project,
    )
