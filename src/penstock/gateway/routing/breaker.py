"""A circuit breaker: stops asking a target that keeps failing, and lets single probes find out when it is back.

States and half-open probes after Michael Nygard, "Release It!" (2007); counting in a sliding window of two halves.
"""

from enum import IntEnum, StrEnum

from penstock.gateway.model import Breaker as Policy

LONGEST_REST = 8
"""A breaker whose probes keep failing rests longer each time, up to this many times `seconds`."""


class State(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permit(IntEnum):
    """What `enter` answers: no, yes, or yes as a probe."""

    NO = 0
    YES = 1
    PROBE = 2


class Breaker:
    """The breaker of one target under one policy. All times are seconds of one monotonic clock, given by the caller."""

    __slots__ = (
        "_bad", "_consecutive", "_good", "_half_ends", "_old_bad", "_old_good", "_passed", "_policy", "_probing",
        "_rests", "opens_at", "state",
    )  # fmt: skip

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.state = State.CLOSED
        self.opens_at = 0.0
        """When an open breaker lets its first probe through."""
        self._rests = 0
        self._probing = 0
        self._forget()

    def _forget(self) -> None:
        self._consecutive = self._good = self._bad = self._old_good = self._old_bad = self._passed = 0
        self._half_ends = 0.0

    def refuses(self, now: float) -> bool:
        """Return whether `enter` would say no; changes nothing."""
        if self.state is State.CLOSED:
            return False
        if self.state is State.OPEN:
            return now < self.opens_at
        return self._probing >= self._policy.probes

    def enter(self, now: float) -> Permit:
        """Ask to send a call; whoever gets a permit must give it back to `leave`."""
        if self.state is State.CLOSED:
            return Permit.YES
        if self.state is State.OPEN:
            if now < self.opens_at:
                return Permit.NO
            self.state = State.HALF_OPEN
            self._passed = 0
        if self._probing >= self._policy.probes:
            return Permit.NO
        self._probing += 1
        return Permit.PROBE

    def leave(self, permit: Permit, good: bool | None, now: float) -> None:
        """Tell how a permitted call went: well, badly, or None when it says nothing about the target."""
        if permit is Permit.PROBE:
            self._probing -= 1
            if self.state is State.HALF_OPEN and good is not None:
                self._probed(good, now)
        elif self.state is State.CLOSED and good is not None:
            self._count(good, now)

    def _probed(self, good: bool, now: float) -> None:
        if not good:
            self._open(now)
            return
        self._passed += 1
        if self._passed >= self._policy.probes:
            self.state = State.CLOSED
            self._rests = 0
            self._forget()

    def _count(self, good: bool, now: float) -> None:
        if now > self._half_ends:
            self._turn(now)
        if good:
            self._good += 1
            self._consecutive = 0
            return
        self._bad += 1
        self._consecutive += 1
        policy = self._policy
        bad = self._bad + self._old_bad
        total = bad + self._good + self._old_good
        if (policy.failures and self._consecutive >= policy.failures) or (
            policy.error_rate and total >= policy.min_calls and bad >= policy.error_rate * total
        ):
            self._open(now)

    def _turn(self, now: float) -> None:
        """Begin a new half of the window; what is older than the whole window is forgotten."""
        half = self._policy.window / 2
        recent = now <= self._half_ends + half
        self._old_good, self._old_bad = (self._good, self._bad) if recent else (0, 0)
        self._good = self._bad = 0
        self._half_ends = now + half

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self.opens_at = now + self._policy.seconds * min(LONGEST_REST, 2**self._rests)
        self._rests = min(self._rests + 1, LONGEST_REST)
        self._forget()
