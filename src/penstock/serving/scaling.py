"""How many replicas a deployment needs, from what its replicas have to do. Pure: time comes in as a number."""

import math
from collections import deque
from dataclasses import dataclass

from penstock.serving.model import Autoscale

STEADY_SECONDS = 30.0
"""A smaller figure must have been enough for so long before replicas go."""
LATENCY_PAUSE_SECONDS = 15.0
"""After a replica was added for latency, its effect is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a deployment's replicas have to do at one moment."""

    requests: int
    """Running and waiting, of all replicas."""
    done: int
    """Grows with work done; whatever the engines count."""
    ready: int
    """Replicas that answer."""
    measured: float = float("inf")
    """When the replica whose measurement is oldest was last seen; -inf: one was never."""
    latency_ms: float | None = None
    """Mean latency of the calls that ended since the last look; None: there were none."""
    asked: bool = False
    """Whether somebody waits at the gateway because nothing runs."""


class Scaler:
    """Decides for one deployment; remembers when it was last used."""

    def __init__(self, now: float) -> None:
        self._used = now
        self._done = 0
        self._needs: deque[tuple[float, int]] = deque()
        self._raised = float("-inf")
        self.current: int | None = None
        """The figure now in force; None before the first decision."""

    def decide(self, now: float, rule: Autoscale, demand: Demand) -> int:
        """Return how many replicas shall run.

        Up at once, by the requests per replica or by latency; down when less was enough for half a minute; to
        none when every replica was seen idle `rule.idle` seconds after the last call, or later: a measurement
        from before may have missed the call that is being answered now.
        """
        if demand.requests or demand.asked or demand.done != self._done:
            self._used, self._done = now, demand.done
        before = self._start(rule, demand) if self.current is None else self.current
        need = self._need(now, rule, demand, before)
        self._needs.append((now, need))
        while self._needs[0][0] < now - STEADY_SECONDS:
            self._needs.popleft()
        idle = rule.min == 0 and min(now, demand.measured) - self._used >= rule.idle
        steady = max(each for _, each in self._needs)
        chosen = 0 if idle else max(min(before, steady), need, 1 if demand.asked or before else 0)
        self.current = max(rule.min, min(rule.max, chosen))
        return self.current

    @staticmethod
    def _start(rule: Autoscale, demand: Demand) -> int:
        return max(rule.min, min(rule.max, demand.ready))

    def _need(self, now: float, rule: Autoscale, demand: Demand, before: int) -> int:
        need = math.ceil(demand.requests / rule.requests)
        slow = (
            rule.latency_ms is not None
            and demand.latency_ms is not None
            and demand.latency_ms > rule.latency_ms
        )
        if slow and demand.ready >= before:
            if now - self._raised >= LATENCY_PAUSE_SECONDS:
                self._raised = now
                return max(need, before + 1)
            return max(need, before)
        return need
