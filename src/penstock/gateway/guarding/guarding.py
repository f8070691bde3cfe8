"""Which guards a call gets: the policies of its project that hold for its route and key."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from penstock.core import log
from penstock.core.scope import Scope
from penstock.gateway.guarding.guards import Guards
from penstock.gateway.guarding.programs import Programs
from penstock.gateway.guarding.verdicts import Count
from penstock.guardrails.model import Policy
from penstock.guardrails.ports import Transport
from penstock.guardrails.service import Guardrails

_log = log.get("gateway")
MAX_PLANS = 20_000
"""Combinations of project, route and key that are remembered."""
_Key = tuple[Scope, tuple[tuple[str, object], ...], bytes]
"""Project, identities of the policies that hold, and the tenant's key."""


class _Caller(Protocol):
    @property
    def key_id(self) -> str: ...
    @property
    def name(self) -> str: ...


class Asking(Protocol):
    """What is needed of a call to find its guards."""

    @property
    def scope(self) -> Scope | None:
        """Its project."""

    @property
    def caller(self) -> _Caller | None:
        """Whose key it came with."""


class _Place(NamedTuple):
    scope: Scope
    route: str
    key_id: str
    key_name: str


class _State:
    """Everything known at one revision; replaced whole."""

    __slots__ = ("any", "found", "made", "plans")

    def __init__(self, found: Guardrails) -> None:
        self.found = found
        self.any = any(found.policies.values())
        self.made: dict[_Key, Programs] = {}
        self.plans: dict[_Place, Programs | None] = {}


def _nobody(guard: str, verdict: str) -> None:
    """Counts nothing."""


class Guarding:
    """The guards of one process. `refresh` may run in a thread; everything else belongs to the event loop."""

    def __init__(
        self,
        load: Callable[[], Guardrails],
        transport: Transport,
        *,
        revision: Callable[[], int],
        count: Count = _nobody,
    ) -> None:
        """`load` reads all policies in force, `revision` what grows whenever they change; loads them.

        `count` is told (guard, verdict) of every verdict.
        """
        self._load = load
        self._revision = revision
        self._transport = transport
        self._count = count
        self._state = self._made(load(), None)

    def refresh(self) -> bool:
        """Bring the policies up to date; returns whether they changed.

        Programs of calls that were seen before are made here, so that the event loop does not have to wait for them.
        """
        old = self._state
        if self._revision() == old.found.revision:
            return False
        self._state = self._made(self._load(), old)
        return True

    def _made(self, found: Guardrails, old: _State | None) -> _State:
        state = _State(found)
        known = {} if old is None else dict(old.made)
        for place in [] if old is None else list(old.plans):
            state.plans[place] = self._plan(state, place, known)
        for scope in found.policies:
            self._plan(state, _Place(scope, "", "", ""), known)
        return state

    def for_call(self, call: Asking, route: str) -> Guards | None:
        """Return the guards of a call; None when no policy holds for it."""
        state = self._state
        if not state.any or call.scope is None:
            return None
        caller = call.caller
        key_id, key_name = ("", "") if caller is None else (caller.key_id, caller.name)
        place = _Place(call.scope, route, key_id, key_name)
        try:
            programs = state.plans[place]
        except KeyError:
            programs = self._plan(state, place, {})
            if len(state.plans) >= MAX_PLANS:
                state.plans.clear()
            state.plans[place] = programs
        if programs is None:
            return None
        return Guards(programs, route=route, key_id=key_id, transport=self._transport, count=self._count)

    def _plan(self, state: _State, place: _Place, known: dict[_Key, Programs]) -> Programs | None:
        """Return the programs for a place, those that `known` has already if they say the same."""
        found = state.found
        holding = found.holding(*place)
        if not holding:
            return None
        secret = found.secret(place.scope)
        key = (place.scope, tuple(_identity(policy) for policy in holding), secret)
        made = state.made.get(key) or known.get(key)
        if made is None:
            made = Programs(holding, secret, allow_private=found.allow_private)
            for wrong in made.wrong:
                _log.warning("a guard cannot be made: %s", wrong)
        state.made[key] = made
        return made


def _identity(policy: Policy) -> tuple[str, object]:
    return policy.ref, policy.created_at
