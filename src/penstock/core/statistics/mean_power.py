"""How many pairs a claim about a mean difference needs, and what a given number can show."""

import math

import numpy as np

from penstock.core.statistics.interval import normal_cdf
from penstock.core.statistics.student import t_quantile

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(160)


def mean_power(effect: float, sd: float, n: int, *, alpha: float = 0.05) -> float:
    """Return the chance that `n` pairs show a true mean difference `effect` with a two-sided paired t test.

    `sd` > 0 is the standard deviation of the differences per pair; fewer than two pairs show nothing. Source:
    Cohen, Statistical Power Analysis for the Behavioral Sciences (2nd ed. 1988), section 2.3.4 (paired case),
    by the non-central t distribution, integrated over the chi distribution of the estimated sd.
    """
    if sd <= 0:
        raise ValueError("the differences need a standard deviation above 0")
    if n < 2:
        return 0.0
    df, shift = n - 1, math.sqrt(n) * abs(effect) / sd
    critical = t_quantile(1 - alpha, df)
    half = 10 / math.sqrt(2 * df)
    low, high = max(1e-12, 1 - half), 1 + half
    spread = (high - low) / 2 * _NODES + (high + low) / 2
    constant = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2)
    density = np.exp(constant + (df - 1) * np.log(spread) - df / 2 * spread**2)
    beyond = [normal_cdf(shift - critical * s) + normal_cdf(-shift - critical * s) for s in spread]
    return float(min(1.0, (high - low) / 2 * np.sum(_WEIGHTS * density * beyond)))


def mean_detectable_effect(sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true mean difference that `n` pairs show with the given `power`; infinite below two.

    Inverts `mean_power` by bisection.
    """
    if n < 2:
        return math.inf
    low, high = 0.0, sd
    while mean_power(high, sd, n, alpha=alpha) < power:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        if mean_power(middle, sd, n, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high


def mean_pairs_needed(effect: float, sd: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many pairs show a true mean difference `effect` with the given `power`.

    Inverts `mean_power`; `effect` must not be 0.
    """
    if effect == 0:
        raise ValueError("effect must not be 0")
    high = 2
    while mean_power(effect, sd, high, alpha=alpha) < power:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if mean_power(effect, sd, middle, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high
