"""Paired permutation tests: exact for few pairs, seeded Monte Carlo beyond."""

import numpy as np
from numpy.typing import ArrayLike

from penstock.core.statistics.bootstrap import Floats, OfSums, as_table, mean_of_sums

EXACT_PAIRS = 14
"""Up to this many differing pairs all 2^n swaps are counted."""


def _swaps(differing: int, resamples: int, seed: int) -> tuple[Floats, bool]:
    if differing <= EXACT_PAIRS:
        codes = np.arange(2**differing)[:, None] >> np.arange(differing) & 1
        return codes.astype(np.float64), True
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, size=(resamples, differing)).astype(np.float64), False


def paired_permutation(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    statistic: OfSums = mean_of_sums,
    resamples: int = 10_000,
    seed: int = 0,
) -> float:
    """Return the two-sided p-value that swapping the systems within pairs would differ as much.

    `baseline` and `candidate` have the same shape (n,) or (n, k), row i of both being the same sample;
    `statistic` is as in `bootstrap_interval`. Sources: Fisher, The Design of Experiments (1935), section 21;
    Noreen (1989) for corpus metrics; (b + 1)/(m + 1) when sampled: Phipson and Smyth, SAGMB 9 (2010) 39.
    """
    first, second = as_table(baseline), as_table(candidate)
    if first.shape != second.shape:
        raise ValueError("a paired test needs the same samples on both sides")
    total_first, total_second = first.sum(axis=0), second.sum(axis=0)
    observed = abs(statistic(total_second) - statistic(total_first))
    change = (second - first)[np.any(second != first, axis=1)]
    if not len(change):
        return 1.0
    swaps, exact = _swaps(len(change), resamples, seed)
    moved = swaps @ change
    if statistic is mean_of_sums:
        gaps = np.abs(total_second[0] - total_first[0] - 2 * moved[:, 0]) / len(first)
    else:
        gaps = np.array([abs(statistic(total_second - m) - statistic(total_first + m)) for m in moved])
    # A swap that only reorders floating-point additions must count as equal.
    extreme = int(np.count_nonzero(gaps >= observed * (1 - 1e-12) - 1e-15))
    return extreme / len(swaps) if exact else (extreme + 1) / (len(swaps) + 1)
