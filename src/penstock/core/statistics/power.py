"""How many samples a claim needs, and what a given number can show."""

import math

from penstock.core.statistics.interval import normal_cdf, normal_inverse


def _z(alpha: float) -> float:
    return normal_inverse(1 - alpha / 2)


def paired_power(effect: float, discordant: float, n: int, *, alpha: float = 0.05) -> float:
    """Return the chance that `n` pairs show a true difference `effect` with a two-sided paired test.

    `discordant` is the expected share of pairs on which the two systems differ, at least |effect|.
    Source: Connor, Biometrics 43 (1987) 207-211 (normal approximation of McNemar's test).
    """
    if not abs(effect) <= discordant <= 1:
        raise ValueError("the share of discordant pairs lies between |effect| and 1")
    spread = math.sqrt(discordant - effect**2)
    lead = math.sqrt(n) * abs(effect) - _z(alpha) * math.sqrt(discordant)
    if spread == 0:
        return 1.0 if lead > 0 else 0.0
    return normal_cdf(lead / spread)


def pairs_needed(effect: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many pairs show a true difference `effect` with the given `power`.

    Source: Connor, Biometrics 43 (1987) 207-211, eq. 3.
    """
    if effect == 0 or not abs(effect) <= discordant <= 1:
        raise ValueError("effect must not be 0, and |effect| <= discordant <= 1")
    root = _z(alpha) * math.sqrt(discordant) + normal_inverse(power) * math.sqrt(discordant - effect**2)
    return math.ceil((root / effect) ** 2)


def minimum_detectable_effect(discordant: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true difference that `n` pairs show with the given `power`; 1 when none can be.

    Inverts `paired_power` by bisection; the share of discordant pairs grows with the effect when it must.
    """
    low, high = 0.0, 1.0
    if paired_power(1.0, 1.0, n, alpha=alpha) < power:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if paired_power(middle, max(discordant, middle), n, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high


def two_sample_size(first: float, second: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the samples per side that tell two independent proportions apart.

    Source: Fleiss, Statistical Methods for Rates and Proportions (3rd ed.), eq. 4.14, without continuity
    correction. Pairs need far fewer: prefer running both systems on the same samples.
    """
    if first == second:
        raise ValueError("equal proportions cannot be told apart")
    mean = (first + second) / 2
    root = _z(alpha) * math.sqrt(2 * mean * (1 - mean))
    root += normal_inverse(power) * math.sqrt(first * (1 - first) + second * (1 - second))
    return math.ceil((root / (first - second)) ** 2)
