"""The attempts of one call: who is asked next, and after what pause."""

from collections.abc import Sequence
from random import Random

from penstock.core.errors import PenstockError, Unavailable
from penstock.gateway.routing.live import LiveTarget
from penstock.gateway.routing.refusals import may_ask_again, may_go_elsewhere

BACKOFF_SECONDS = 0.2
BACKOFF_CAP = 5.0
"""Pauses are drawn from 0 to base times 2 per round, at most the cap: "full jitter", Marc Brooker, "Exponential
Backoff And Jitter" (AWS Architecture Blog, 2015)."""


class Attempts:
    """Goes through a call's targets, round after round, until the budget is used up.

    Another target is asked at once. The same one again only after a pause: the one its Retry-After asks for when
    that is at most `patience` seconds, else a random one. Open breakers are passed over; targets that asked to be
    left alone come last.
    """

    __slots__ = ("_again", "_budget", "_dice", "_left", "_order", "_patience", "_rests", "_round", "pause")

    def __init__(self, order: Sequence[LiveTarget], budget: int, dice: Random, patience: float) -> None:
        self._order = order
        self._left: list[LiveTarget] | None = None
        """What is left of this round; None before the first."""
        self._again: list[LiveTarget] = []
        self._rests: dict[int, float] = {}
        self._budget = budget
        self._dice = dice
        self._patience = patience
        self._round = 0
        self.pause = 0.0
        """Seconds to wait before the target that `take` returned is asked."""

    def take(self, now: float) -> LiveTarget | None:
        """Return the next target, or None when there is nobody left to ask."""
        if self._budget <= 0:
            return None
        if self._left is None:
            self._left = sorted(self._order, key=lambda target: target.health.limited_until > now)
        found = self._next(now)
        if found is None and self._again:
            self._left, self._again = self._again, []
            self._round += 1
            found = self._next(now)
        return found

    def begin_after(self, target: LiveTarget, now: float) -> None:
        """Begin with `target` asked already."""
        self._budget -= 1
        others = [each for each in self._order if each is not target]
        self._left = sorted(others, key=lambda each: each.health.limited_until > now)

    def _next(self, now: float) -> LiveTarget | None:
        assert self._left is not None
        while self._left:
            target = self._left.pop(0)
            if not target.breaker.refuses(now):
                self._budget -= 1
                self.pause = self._pause_for(target)
                return target
        return None

    def _pause_for(self, target: LiveTarget) -> float:
        if not self._round:
            return 0.0
        asked = self._rests.get(id(target))
        return (
            asked
            if asked is not None
            else self._dice.uniform(0, min(BACKOFF_CAP, BACKOFF_SECONDS * 2**self._round))
        )

    def failed(self, target: LiveTarget, error: PenstockError) -> bool:
        """Take a failure; returns whether the call may go on."""
        if not may_go_elsewhere(error):
            return False
        rest = error.retry_after
        if may_ask_again(error) and (rest is None or rest <= self._patience):
            self._again.append(target)
            if rest is not None:
                self._rests[id(target)] = rest
            else:
                self._rests.pop(id(target), None)
        return True

    def nobody(self, name: str, now: float) -> PenstockError:
        """Return the error for a call that no target could be asked for: all of them rest."""
        opens = min(max(0.0, target.breaker.opens_at - now) for target in self._order)
        return Unavailable(
            f"Every target of {name or 'this model'} failed too often and rests.",
            hint="See `penstock routes health`.",
            details={"code": "all_targets_resting"},
            retry_after=max(1.0, opens),
        )
