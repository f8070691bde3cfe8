"""Intervals for the difference of two proportions measured on the same samples."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.core.statistics.interval import Interval, normal_quantile
from penstock.core.statistics.proportion import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTable:
    """How often both, one or neither of two systems were right on the same samples."""

    both: int
    gained: int
    """Only the second (candidate) was right."""
    lost: int
    """Only the first (baseline) was right."""
    neither: int

    @property
    def n(self) -> int:
        """The number of pairs."""
        return self.both + self.gained + self.lost + self.neither

    @property
    def difference(self) -> float:
        """Candidate's proportion minus the baseline's."""
        return (self.gained - self.lost) / self.n

    @classmethod
    def of(cls, baseline: Sequence[float], candidate: Sequence[float]) -> "PairedTable":
        """Count pairs of 0/1 outcomes of equal length >= 1; raises ValueError otherwise."""
        pairs = list(zip(baseline, candidate, strict=True))
        if not pairs:
            raise ValueError("a paired table needs at least one pair")
        return cls(
            both=sum(1 for a, b in pairs if a and b),
            gained=sum(1 for a, b in pairs if b and not a),
            lost=sum(1 for a, b in pairs if a and not b),
            neither=sum(1 for a, b in pairs if not a and not b),
        )


def newcombe_interval(table: PairedTable, *, confidence: float = 0.95) -> Interval:
    """Return the square-and-add interval of the difference candidate - baseline.

    Source: Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method 10.
    """
    n, e, f, g, h = table.n, table.both, table.gained, table.lost, table.neither
    candidate = wilson(e + f, n, confidence=confidence)
    baseline = wilson(e + g, n, confidence=confidence)
    margins = (e + f) * (g + h) * (e + g) * (f + h)
    product = e * h - f * g
    if margins == 0:
        phi = 0.0
    elif product > n / 2:
        phi = (product - n / 2) / math.sqrt(margins)
    else:
        phi = min(0.0, product / math.sqrt(margins)) if product < 0 else 0.0
    down_c, up_b = candidate.value - candidate.low, baseline.high - baseline.value
    up_c, down_b = candidate.high - candidate.value, baseline.value - baseline.low
    low = table.difference - math.sqrt(max(0.0, down_c**2 - 2 * phi * down_c * up_b + up_b**2))
    high = table.difference + math.sqrt(max(0.0, up_c**2 - 2 * phi * up_c * down_b + down_b**2))
    return Interval(value=table.difference, low=low, high=high, n=n, method="newcombe", confidence=confidence)


def _tango_z(table: PairedTable, delta: float) -> float:
    """Return the score statistic of Tango, Statistics in Medicine 17 (1998) 891-908, for H0: difference = delta."""
    n, b, c = table.n, table.gained, table.lost
    # The constrained estimate of the probability of a loss is the larger root of 2n q² + B q + C = 0.
    linear = -b - c + (2 * n - b + c) * delta
    constant = -c * delta * (1 - delta)
    loss = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * loss + delta * (1 - delta))
    distance = b - c - n * delta
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where the decreasing `function` crosses zero between `low` and `high`."""
    for _ in range(100):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def tango_interval(table: PairedTable, *, confidence: float = 0.95) -> Interval:
    """Return the score interval of the difference candidate - baseline.

    All differences that the score test of Tango, Statistics in Medicine 17 (1998) 891-908, does not
    refuse at 1 - `confidence`; found by bisection.
    """
    z, estimate = normal_quantile(confidence), table.difference
    low = -1.0 if estimate <= -1 else _root(lambda d: _tango_z(table, d) - z, -1.0, estimate)
    high = 1.0 if estimate >= 1 else _root(lambda d: _tango_z(table, d) + z, estimate, 1.0)
    return Interval(value=estimate, low=low, high=high, n=table.n, method="tango", confidence=confidence)
