"""Which guards a call gets: the policies of its project that hold for its route and key."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from penstock.core import log
from penstock.core.scope import Scope
from penstock.gateway.guarding.guards import Guards
from penstock.gateway.guarding.programs import Programs
from penstock.gateway.guarding.verdicts import Count
from penstock.guardrails.model import Policy
from penstock.guardrails.ports import Transport

_log = log.get("gateway")
MAX_PLANS = 20_000
"""Combinations of project, route and key that are remembered."""
Held = Mapping[tuple[str, str], tuple[tuple[Policy, ...], bytes]]
"""(tenant, project) → its current policies, and the tenant's key for hashes."""


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


_Key = tuple[tuple[str, str], tuple[tuple[str, object], ...], bytes]
"""Project, identities of its policies that hold, and the tenant's key."""


class _State:
    """Everything known at one revision; replaced whole."""

    __slots__ = ("held", "made", "plans", "revision")

    def __init__(self, held: Held, revision: int) -> None:
        self.held = {scope: policies for scope, policies in held.items() if policies[0]}
        self.revision = revision
        self.made: dict[_Key, Programs] = {}
        self.plans: dict[_Place, Programs | None] = {}


def _nobody(guard: str, verdict: str) -> None:
    """Counts nothing."""


class Guarding:
    """The guards of one process. `refresh` may run in a thread; everything else belongs to the event loop."""

    def __init__(
        self,
        load: Callable[[], Held],
        transport: Transport,
        *,
        revision: Callable[[], int],
        allow_private: bool = False,
        count: Count = _nobody,
    ) -> None:
        """`load` reads the current policies of all projects, `revision` grows whenever they change; loads them."""
        self._load = load
        self._revision = revision
        self._transport = transport
        self._allow_private = allow_private
        self._count = count
        now = revision()
        self._state = _State(load(), now)
        self._prepare(self._state, self._state)

    def refresh(self) -> bool:
        """Bring the policies up to date; returns whether they changed.

        Programs of calls that were seen before are made here, so that the event loop does not have to wait for them.
        """
        now = self._revision()
        old = self._state
        if now == old.revision:
            return False
        state = _State(self._load(), now)
        self._prepare(state, old)
        self._state = state
        return True

    def _prepare(self, state: _State, old: _State) -> None:
        state.made = {key: made for key, made in list(old.made.items()) if self._current(state, key)}
        for place in list(old.plans):
            state.plans[place] = self._plan(state, place)
        for tenant, project in state.held:
            self._plan(state, _Place(Scope(tenant, project), "", "", ""))

    @staticmethod
    def _current(state: _State, key: _Key) -> bool:
        scope, wanted, _ = key
        return set(wanted) <= {_identity(policy) for policy in state.held.get(scope, ((), b""))[0]}

    def for_call(self, call: Asking, route: str) -> Guards | None:
        """Return the guards of a call; None when no policy holds for it."""
        state = self._state
        if not state.held or call.scope is None:
            return None
        caller = call.caller
        key_id, key_name = ("", "") if caller is None else (caller.key_id, caller.name)
        place = _Place(call.scope, route, key_id, key_name)
        try:
            programs = state.plans[place]
        except KeyError:
            programs = self._plan(state, place)
            if len(state.plans) >= MAX_PLANS:
                state.plans.clear()
            state.plans[place] = programs
        if programs is None:
            return None
        return Guards(programs, route=route, key_id=key_id, transport=self._transport, count=self._count)

    def _plan(self, state: _State, place: _Place) -> Programs | None:
        scope = (place.scope.tenant, place.scope.project)
        policies, secret = state.held.get(scope, ((), b""))
        holding = [each for each in policies if each.rules.covers(place.route, place.key_id, place.key_name)]
        if not holding:
            return None
        holding.sort(key=lambda policy: (policy.rules.order, policy.name))
        key = (scope, tuple(_identity(policy) for policy in holding), secret)
        made = state.made.get(key)
        if made is None:
            made = state.made[key] = Programs(tuple(holding), secret, allow_private=self._allow_private)
            for wrong in made.wrong:
                _log.warning("a guard cannot be made: %s", wrong)
        return made


def _identity(policy: Policy) -> tuple[str, object]:
    return policy.ref, policy.created_at
