"""Finding the best of several arms with as few calls as can be, and knowing when it is found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_DRAWS = 4000
_STEPS = 100
_GRID = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulls:
    """What is known of an arm: how often it was asked, the mean reward, and the variance of one reward."""

    n: float
    mean: float
    variance: float
    """Above 0."""


def chances_of_best(arms: Sequence[Pulls], *, seed: int, draws: int = _DRAWS) -> list[float]:
    """Return each arm's posterior chance of having the highest mean (flat prior, normal posterior), by simulation."""
    rng = np.random.default_rng(seed)
    means = np.array([arm.mean for arm in arms])
    errors = np.array([math.sqrt(arm.variance / max(arm.n, 1.0)) for arm in arms])
    best = np.argmax(means + errors * rng.standard_normal((draws, len(arms))), axis=1)
    counts = np.bincount(best, minlength=len(arms))
    # Half a draw each: a chance that rounds to 0 still gets asked now and then, and no share below is 0/0.
    return [float(count) for count in (counts + 0.5) / (draws + 0.5 * len(arms))]


def top_two_shares(chances: Sequence[float], *, leader: float = 0.5) -> list[float]:
    """Return how often top-two Thompson sampling asks each arm, given the arms' chances of being best.

    It draws the best arm of a sample and asks it with probability `leader`; else it draws on until another arm is
    best, and asks that. Source: Russo, Operations Research 68 (2020) 1625-1647, section 3.3.
    """
    out = []
    for arm, chance in enumerate(chances):
        second = sum(
            other * chance / (1 - other) for index, other in enumerate(chances) if index != arm and other < 1
        )
        out.append(leader * chance + (1 - leader) * second)
    total = sum(out)
    return [share / total for share in out]


def tracking_shares(arms: Sequence[Pulls]) -> list[float]:
    """Return the shares of calls that tell the best arm apart soonest, as far as the means are known now.

    Maximises, over the shares, the smallest (mean gap)² / (2·(v_best/w_best + v_arm/w_arm)) of all other arms.
    Source: Garivier and Kaufmann, Optimal Best Arm Identification with Fixed Confidence, COLT 2016, theorem 5 and
    lemma 4, for normal rewards whose variances differ. Equal shares while the best is tied.
    """
    best = max(range(len(arms)), key=lambda index: arms[index].mean)
    rest = [arm for index, arm in enumerate(arms) if index != best]
    gaps = [(arms[best].mean - arm.mean) ** 2 for arm in rest]
    if not rest or min(gaps) <= 0:
        return [1.0 / len(arms)] * len(arms)
    lead = arms[best].variance
    low, high = 0.0, min(gaps) / (2 * lead)
    for _ in range(_STEPS):
        level = (low + high) / 2
        ratios = _ratios(rest, gaps, lead, level)
        if sum(lead / arm.variance * ratio**2 for arm, ratio in zip(rest, ratios, strict=True)) < 1:
            low = level
        else:
            high = level
    ratios = _ratios(rest, gaps, lead, low)
    ratios.insert(best, 1.0)
    total = sum(ratios)
    return [ratio / total for ratio in ratios]


def _ratios(rest: Sequence[Pulls], gaps: Sequence[float], lead: float, level: float) -> list[float]:
    """Return share over the best arm's share, for every other arm, at which all are told apart at rate `level`."""
    if level <= 0:
        return [0.0] * len(rest)
    return [arm.variance / max(gap / (2 * level) - lead, 1e-300) for arm, gap in zip(rest, gaps, strict=True)]


def found_best(arms: Sequence[Pulls], alpha: float) -> int | None:
    """Return the arm that is best with probability 1 - `alpha`, or None while that cannot be said.

    However the calls were spread over the arms and however often one looks: the generalised likelihood ratio of every
    pair against the threshold of Kaufmann and Koolen, Mixture Martingales Revisited, Journal of Machine Learning
    Research 22 (2021) 246, eq. 25 (normal rewards), whose C(x) is eq. 24.
    """
    best = max(range(len(arms)), key=lambda index: arms[index].mean)
    lead = arms[best]
    if lead.n < 2 or len(arms) < 2:
        return None
    level = 2 * _crossing(math.log((len(arms) - 1) / alpha) / 2)
    for index, arm in enumerate(arms):
        if index == best:
            continue
        if arm.n < 2:
            return None
        ratio = (lead.mean - arm.mean) ** 2 / (2 * (lead.variance / lead.n + arm.variance / arm.n))
        if ratio < level + 2 * math.log(4 + math.log(lead.n)) + 2 * math.log(4 + math.log(arm.n)):
            return None
    return best


def _crossing(x: float) -> float:
    """Return C(x) = min over 1/2 < l <= 1 of (g(l) + x) / l, g(l) = 2l - 2l·ln(4l) + ln zeta(2l) - ln(1 - l)/2."""
    grid = np.linspace(0.5, 1.0, _GRID + 2)[1:-1]
    curve = 2 * grid - 2 * grid * np.log(4 * grid) + np.log(_zeta(2 * grid)) - 0.5 * np.log(1 - grid)
    return float(np.min((curve + x) / grid))


def _zeta(
    s: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return Riemann's zeta for s > 1, by Euler and Maclaurin's formula after 20 terms."""
    n = 20.0
    head = sum(k**-s for k in np.arange(1.0, n))
    return np.asarray(head + n ** (1 - s) / (s - 1) + 0.5 * n**-s + s / 12 * n ** (-s - 1))
