"""Tests and intervals that stay right however often, and whenever, somebody looks.

Everything here works on an estimate and its *information* (one over its squared standard error). As data come, the
estimate times its information is, to first order, a Brownian motion whose drift is the true effect and whose clock is
the information. Under "no effect" its normal mixture

    E = (1 + t²·I)^(-1/2) · exp(t²·(est·I)² / (2·(1 + t²·I)))

is a martingale from 1, so that by Ville's inequality P(E ever reaches 1/alpha) <= alpha: the mixture sequential
probability ratio test (Robbins, Annals of Mathematical Statistics 41 (1970) 1397-1409; Johari, Koomen, Pekelis and
Walsh, Operations Research 70 (2022) 1806-1821, eq. 7). All effects that it does not reject are the asymptotic
confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Annals of Statistics 52 (2024) 2613-2640,
theorem 2.2). `t`, the mixture's standard deviation, sets where the test is sharpest: at effects of about its size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An effect as measured: its value and its information, 1 / (standard error)²."""

    value: float
    information: float

    @classmethod
    def of(cls, value: float, variance: float) -> "Estimate":
        """Return the estimate with that squared standard error, which must be above 0."""
        return cls(value=value, information=1.0 / variance)


def pooled(parts: Sequence[Estimate]) -> Estimate | None:
    """Return one estimate of parts that were measured apart (say under different shares of the traffic); None of none.

    Weighted by information, so that what changed from part to part for everybody cancels (no Simpson's paradox).
    """
    information = sum(part.information for part in parts)
    if not information:
        return None
    value = sum(part.value * part.information for part in parts) / information
    return Estimate(value=value, information=information)


def log_evidence(estimate: Estimate, spread: float, *, null: float = 0.0) -> float:
    """Return ln E against "the effect is `null`", for a mixture of standard deviation `spread` > 0."""
    scaled = spread * spread * estimate.information
    score = (estimate.value - null) ** 2 * estimate.information
    return 0.5 * (score * scaled / (1 + scaled) - math.log1p(scaled))


def half_width(information: float, spread: float, alpha: float) -> float:
    """Return half the width of the confidence sequence: the effects within it have E < 1/`alpha`."""
    if information <= 0:
        return math.inf
    scaled = spread * spread * information
    bound = math.log1p(scaled) - 2 * math.log(alpha)
    return math.sqrt((1 + scaled) / scaled * bound / information)


def interval(estimate: Estimate, spread: float, alpha: float) -> tuple[float, float]:
    """Return (low, high): with probability 1 - `alpha` it holds the true effect at every moment at once."""
    half = half_width(estimate.information, spread, alpha)
    return estimate.value - half, estimate.value + half


def information_needed(effect: float, spread: float, alpha: float) -> float:
    """Return the information at which the test is expected to stop when the true effect is `effect`, not 0.

    Where the mean of ln E reaches ln(1/alpha): the squared estimate times its information is effect² · information
    plus 1 on average.
    """
    low, high = 0.0, 1.0 / (effect * effect)
    while _mean_evidence(effect, high, spread) < -math.log(alpha):
        low, high = high, high * 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _mean_evidence(effect, middle, spread) < -math.log(alpha):
            low = middle
        else:
            high = middle
    return high


def _mean_evidence(effect: float, information: float, spread: float) -> float:
    scaled = spread * spread * information
    return 0.5 * ((effect * effect * information + 1) * scaled / (1 + scaled) - math.log1p(scaled))


def difference_of_shares(hits: int, n: int, other_hits: int, other_n: int) -> Estimate:
    """Return hits/n minus other_hits/other_n of independent trials, for `log_evidence` and `interval`.

    Both sides get the variance of what they have together, one hit and one miss added: under "no difference" they are
    alike, and a small side's own variance is too small while it has been lucky. `n` and `other_n` are above 0.
    """
    common = (hits + other_hits + 1) / (n + other_n + 2)
    return Estimate.of(hits / n - other_hits / other_n, common * (1 - common) * (1 / n + 1 / other_n))
