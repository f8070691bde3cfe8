"""Student's test of paired values, and the same where the pairs come in clusters."""

import math

import numpy as np
from numpy.typing import ArrayLike

from penstock.core.statistics.clustered import clustered_standard_error
from penstock.core.statistics.student import t_cdf


def _two_sided(mean: float, error: float, df: int) -> float:
    if df < 1:
        return 1.0
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return min(1.0, 2.0 * t_cdf(-abs(mean / error), df))


def paired_t(baseline: ArrayLike, candidate: ArrayLike) -> float:
    """Return the two-sided p-value that the mean of candidate - baseline is 0; a single pair gives 1.

    Both hold one value per sample, in the same order. It assumes a roughly normal mean difference; for few
    or skewed values prefer `paired_permutation`. Source: Student, Biometrika 6 (1908) 1-25.
    """
    change = np.subtract(candidate, baseline, dtype=np.float64)
    if change.ndim != 1 or not change.size:
        raise ValueError("a paired test needs at least one pair, in one dimension")
    if change.size == 1:
        return 1.0
    error = float(change.std(ddof=1)) / math.sqrt(change.size)
    return _two_sided(float(change.mean()), error, change.size - 1)


def clustered_t(change: ArrayLike, clusters: ArrayLike) -> float:
    """Return the two-sided p-value that the mean `change` is 0 where samples of one cluster move together.

    t of G - 1 degrees of freedom for G clusters on `clustered_standard_error`; a single cluster gives 1. It
    agrees with `clustered_interval` of the same differences. Sources: those of `clustered_standard_error`.
    """
    data = np.asarray(change, dtype=np.float64)
    error = clustered_standard_error(data, clusters)
    count = len({str(cluster) for cluster in np.asarray(clusters).ravel().tolist()})
    return _two_sided(float(data.mean()), error, count - 1)
