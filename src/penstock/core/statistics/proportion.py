"""Intervals for a proportion."""

import math

from penstock.core.statistics.beta import beta_quantile
from penstock.core.statistics.interval import Interval, normal_quantile


def _check(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} are not a proportion")


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return the score interval of `successes` out of `n` >= 1.

    Source: Wilson, JASA 22 (1927) 209-212; Newcombe, Statistics in Medicine 17 (1998) 857-872, method 3.
    """
    _check(successes, n)
    z, p = normal_quantile(confidence), successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(value=p, low=low, high=high, n=n, method="wilson", confidence=confidence)


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return the exact interval of `successes` out of `n` >= 1; it covers at least as often as it says.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413, by the beta quantiles.
    """
    _check(successes, n)
    alpha = 1 - confidence
    low = 0.0 if successes == 0 else beta_quantile(alpha / 2, successes, n - successes + 1)
    high = 1.0 if successes == n else beta_quantile(1 - alpha / 2, successes + 1, n - successes)
    return Interval(
        value=successes / n, low=low, high=high, n=n, method="clopper_pearson", confidence=confidence
    )
