"""Student's t distribution."""

import math

from penstock.core.statistics.beta import beta_cdf, beta_quantile


def t_cdf(t: float, df: float) -> float:
    """Return P(T <= t) for Student's t with `df` > 0 degrees of freedom.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1.
    """
    tail = 0.5 * beta_cdf(df / (df + t * t), df / 2, 0.5)
    return 1.0 - tail if t > 0 else tail


def t_quantile(confidence: float, df: float) -> float:
    """Return t with P(|T| <= t) = `confidence` (12.706 for 0.95 and one degree of freedom)."""
    x = beta_quantile(1.0 - confidence, df / 2, 0.5)
    return math.sqrt(df * (1.0 - x) / x)
