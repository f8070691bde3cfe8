"""Intervals for a mean."""

import math

import numpy as np
from numpy.typing import ArrayLike

from penstock.core.statistics.interval import Interval
from penstock.core.statistics.student import t_quantile


def t_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return mean ± t·s/√n of at least one value; a single value has an unbounded interval.

    Source: Student, Biometrika 6 (1908) 1-25. It assumes a roughly normal mean: for skewed values
    (latencies) or few samples prefer `bootstrap_interval`.
    """
    data = np.asarray(values, dtype=np.float64)
    n = data.size
    if n == 0:
        raise ValueError("a mean needs at least one value")
    mean = float(data.mean())
    if n == 1:
        return Interval(value=mean, low=-math.inf, high=math.inf, n=1, method="t", confidence=confidence)
    half = t_quantile(confidence, n - 1) * float(data.std(ddof=1)) / math.sqrt(n)
    return Interval(value=mean, low=mean - half, high=mean + half, n=n, method="t", confidence=confidence)
