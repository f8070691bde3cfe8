"""What this process knows of each target: calls in flight, latency, errors; it outlives any configuration."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.core import clock
from penstock.core.errors import PenstockError, Upstream
from penstock.core.scope import Scope
from penstock.gateway.model import Breaker as Policy
from penstock.gateway.routing.breaker import Breaker, State
from penstock.gateway.routing.gate import Gate
from penstock.gateway.routing.shadow import ShadowState
from penstock.gateway.upstream.errors import BadAnswer, ConnectFailed, Dropped, TimedOut

DECAY_SECONDS = 10.0
"""Time constant of the average, between observations (Finagle's default)."""
IDLE_SECONDS = 300.0
"""Time constant with which an unused target's latency is forgotten, so that it is tried again."""
UNKNOWN = 1e6
"""Measure of a target that was never heard of and has calls in flight already (Finagle's penalty)."""
FAILED_SECONDS = 5.0
"""A failed attempt counts as at least so slow: failing fast must not look attractive."""
_OWN_WORDS = (ConnectFailed, TimedOut, Dropped, BadAnswer)


class Health:
    """One target's figures.

    Latency to the first byte is a *peak* EWMA, as in Twitter's Finagle (`PeakEwma.scala`): it jumps up to a slow answer
    at once and comes down with a time constant, so that trouble shows immediately and recovery must prove itself.
    """

    __slots__ = (
        "_ewma", "_seen", "errors", "in_flight", "last_error", "last_error_at", "last_ok", "limited_until", "requests",
    )  # fmt: skip

    def __init__(self) -> None:
        self._ewma = 0.0
        self._seen = 0.0
        self.in_flight = 0
        self.requests = 0
        self.errors = 0
        self.last_error = ""
        """Kind of the last failure; the provider's own words may hold what callers sent, so they are not kept."""
        self.last_error_at: datetime | None = None
        self.last_ok = 0.0
        """Moment (monotonic) of the last success, 0 before."""
        self.limited_until = 0.0
        """Moment (monotonic) until which the provider asked to be left alone."""

    def observe(self, seconds: float, now: float) -> None:
        """Take the latency of an attempt to its first byte."""
        ewma = self._ewma
        if seconds >= ewma:
            self._ewma = seconds
        else:
            kept = math.exp((self._seen - now) / DECAY_SECONDS)
            self._ewma = ewma * kept + seconds * (1.0 - kept)
        self._seen = now

    def failed(self, error: PenstockError, seconds: float, now: float) -> None:
        """Take a failure of the target."""
        self.errors += 1
        self.last_error = describe(error)
        self.last_error_at = clock.now()
        self.observe(max(seconds, FAILED_SECONDS), now)

    def latency(self, now: float) -> float:
        """Return the expected wait in seconds of one more call: peak EWMA times calls in flight and this one."""
        if not self._seen:
            return UNKNOWN + self.in_flight if self.in_flight else 0.0
        return self._ewma * math.exp((self._seen - now) / IDLE_SECONDS) * (self.in_flight + 1)

    @property
    def ewma(self) -> float:
        """Peak EWMA of the latency to the first byte in seconds; 0 before the first."""
        return self._ewma


def describe(error: PenstockError) -> str:
    """Return what kind of failure it was, without anything that a provider or a caller wrote."""
    if isinstance(error, _OWN_WORDS):
        return error.message
    status = error.upstream_status if isinstance(error, Upstream) else error.status
    return f"{error.code} (HTTP {status})" if status else error.code


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """A target's health as told to people."""

    provider: str
    model: str
    state: str
    """closed, open or half_open: the breaker's (the worst, where routes have different ones)."""
    in_flight: int
    ewma_ms: float
    requests: int
    errors: int
    last_error: str = ""
    last_error_at: datetime | None = None
    last_ok_at: datetime | None = None


ANY_MODEL = "*"
"""Stands for all models of a provider that callers name without a route."""
Key = tuple[Scope, str, str]
_WORST = (State.CLOSED, State.HALF_OPEN, State.OPEN)


class HealthRegistry:
    """The health, breakers and gates of one process, by name. Used by the event loop; `snapshot` by any thread."""

    def __init__(self, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self.monotonic = monotonic
        self._origin = clock.now() - timedelta(seconds=monotonic())
        self._health: dict[Key, Health] = {}
        self._breakers: dict[tuple[Key, Policy], Breaker] = {}
        self._gates: dict[tuple[Scope, str, str], Gate] = {}
        self._shadows: dict[tuple[Scope, str], ShadowState] = {}
        self._asked: set[Key] = set()

    def health(self, scope: Scope, provider: str, model: str) -> Health:
        """Return the health of `model` at the provider that `scope` owns; always the same object."""
        key = (scope, provider, model)
        self._asked.add(key)
        return self._health.setdefault(key, Health())

    def breaker(self, scope: Scope, provider: str, model: str, policy: Policy) -> Breaker:
        """Return the breaker of a target under `policy`; always the same object."""
        return self._breakers.setdefault(((scope, provider, model), policy), Breaker(policy))

    def gate(self, scope: Scope, kind: str, name: str, *, limit: int, queue: int, seconds: float) -> Gate:
        """Return the gate called `name`, always the same object, with these limits from now on."""
        gate = self._gates.setdefault((scope, kind, name), Gate(f"The {kind} {name!r}"))
        gate.limit, gate.queue, gate.seconds = limit, queue, seconds
        return gate

    def shadow(self, scope: Scope, route: str) -> ShadowState:
        """Return the state of a route's copies; always the same object."""
        return self._shadows.setdefault((scope, route), ShadowState(route))

    def sweep(self) -> None:
        """Forget the targets that nobody asked for since the last sweep and that have no call in flight."""
        asked, self._asked = self._asked, set()
        for key, health in list(self._health.items()):
            if key not in asked and key[2] != ANY_MODEL and not health.in_flight:
                del self._health[key]
        for key, policy in list(self._breakers):
            if key not in self._health:
                del self._breakers[key, policy]

    def snapshot(self) -> list[tuple[Scope, TargetHealth]]:
        """Return the health of every target that was called, each with the project its provider belongs to."""
        states: dict[Key, State] = {}
        for (key, _), breaker in list(self._breakers.items()):
            states[key] = max(states.get(key, State.CLOSED), breaker.state, key=_WORST.index)
        return [
            (
                key[0],
                TargetHealth(
                    provider=key[1],
                    model=key[2],
                    state=str(states.get(key, State.CLOSED)),
                    in_flight=health.in_flight,
                    ewma_ms=round(health.ewma * 1000, 1),
                    requests=health.requests,
                    errors=health.errors,
                    last_error=health.last_error,
                    last_error_at=health.last_error_at,
                    last_ok_at=self._origin + timedelta(seconds=health.last_ok) if health.last_ok else None,
                ),
            )
            for key, health in list(self._health.items())
            if health.requests
        ]
