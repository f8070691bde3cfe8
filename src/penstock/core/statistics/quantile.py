"""Distribution-free intervals for a quantile (latency percentiles)."""

import math

import numpy as np
from numpy.typing import ArrayLike

from penstock.core.statistics.beta import beta_cdf
from penstock.core.statistics.interval import Interval


def quantile_interval(values: ArrayLike, q: float, *, confidence: float = 0.95) -> Interval:
    """Return the `q` quantile (0 < q < 1) of `values` with an interval between two order statistics.

    Order statistic r lies below the true quantile with probability P(Bin(n, q) >= r), so the largest r
    and smallest s with tails of at most (1 - confidence)/2 cover at least as often as they say. A side
    that n is too small to bound is infinite. Source: Conover, Practical Nonparametric Statistics, section 3.2.
    """
    data = np.sort(np.asarray(values, dtype=np.float64))
    n = data.size
    if n == 0:
        raise ValueError("a quantile needs at least one value")
    tail = (1 - confidence) / 2
    # P(Bin(n, q) <= k) = 1 - I_q(k + 1, n - k); rank r is safe from below while P(Bin <= r - 1) <= tail.
    r = _last_rank(n, q, tail)
    s = n + 1 - _last_rank(n, 1 - q, tail)
    low = float(data[r - 1]) if r >= 1 else -math.inf
    high = float(data[s - 1]) if s <= n else math.inf
    value = float(np.quantile(data, q))
    return Interval(value=value, low=low, high=high, n=n, method="order_statistic", confidence=confidence)


def _last_rank(n: int, q: float, tail: float) -> int:
    """Return the largest r in 0..n with P(Bin(n, q) <= r - 1) <= `tail`."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        below = 1.0 - beta_cdf(q, middle, n - middle + 1)
        if below <= tail:
            low = middle
        else:
            high = middle - 1
    return low
