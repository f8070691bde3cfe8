"""Bootstrap intervals for anything that is a function of column sums: means, BLEU, differences of both."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.statistics.interval import Interval, normal_cdf, normal_inverse

Floats = NDArray[np.float64]
OfSums = Callable[[Floats], float]
"""A statistic of the k column sums, together with the number of rows as element k."""

_CHUNK_CELLS = 2_000_000


def mean_of_sums(sums: Floats) -> float:
    """Return the mean of a one-column table from `[sum, n]`: the default statistic."""
    return float(sums[0] / sums[-1])


def as_table(values: ArrayLike) -> Floats:
    """Return `values` of shape (n,) or (n, k) as an (n, k + 1) table whose last column is 1; n >= 1."""
    data = np.asarray(values, dtype=np.float64)
    if len(data) == 0:
        raise ValueError("at least one row is needed")
    data = data.reshape(len(data), -1)
    return np.hstack([data, np.ones((len(data), 1))])


def resampled_sums(table: Floats, resamples: int, seed: int) -> Floats:
    """Return the column sums of `resamples` draws of n rows with replacement, shape (resamples, columns)."""
    rng, n = np.random.default_rng(seed), len(table)
    chunk = max(1, _CHUNK_CELLS // n)
    parts = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        picks = rng.integers(0, n, size=(size, n)) + (np.arange(size) * n)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n)
        parts.append(counts.astype(np.float64) @ table)
    return np.vstack(parts)


def _bca_levels(estimate: float, draws: Floats, jackknife: Floats, confidence: float) -> tuple[float, float]:
    """Return the adjusted percentile levels of Efron, JASA 82 (1987) 171-185, eq. 2.3 with eq. 6.6."""
    lower, equal = np.count_nonzero(draws < estimate), np.count_nonzero(draws == estimate)
    below = float(lower + 0.5 * equal) / len(draws)
    below = min(max(below, 0.5 / len(draws)), 1 - 0.5 / len(draws))
    bias = normal_inverse(below)
    spread = jackknife.mean() - jackknife
    denominator = float((spread**2).sum()) ** 1.5
    acceleration = float((spread**3).sum()) / (6 * denominator) if denominator > 0 else 0.0
    levels = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + normal_inverse(tail)
        levels.append(normal_cdf(bias + z / (1 - acceleration * z)))
    return levels[0], levels[1]


def bootstrap_interval(
    values: ArrayLike,
    *,
    statistic: OfSums = mean_of_sums,
    method: str = "bca",
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the bootstrap interval of `statistic` over rows `values`, shape (n,) or (n, k).

    `statistic` gets the k column sums followed by the number of rows. `method` is `percentile` or `bca`
    (bias-corrected and accelerated; Efron, JASA 82 (1987) 171-185). The same seed gives the same interval.
    """
    if method not in ("bca", "percentile"):
        raise ValueError(f"method must be 'bca' or 'percentile', not {method!r}")
    table = as_table(values)
    sums = resampled_sums(table, resamples, seed) if len(table) > 1 else table
    return _interval(table, sums, statistic, method, confidence)


def bootstrap_means(
    columns: Sequence[ArrayLike], *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> list[Interval]:
    """Return the BCa interval of the mean of each column, as `bootstrap_interval` does, from the same draws of rows.

    All columns have the same length: drawing costs more than summing, and is done once.
    """
    if not columns:
        return []
    table = as_table(np.column_stack([np.asarray(one, dtype=np.float64) for one in columns]))
    sums = resampled_sums(table, resamples, seed) if len(table) > 1 else table
    places = [[place, -1] for place in range(len(columns))]
    return [_interval(table[:, at], sums[:, at], mean_of_sums, "bca", confidence) for at in places]


def _of_each(statistic: OfSums, sums: Floats) -> Floats:
    """Return the statistic of every row of sums."""
    if statistic is mean_of_sums:
        return np.asarray(sums[:, 0] / sums[:, -1], dtype=np.float64)
    return np.array([statistic(row) for row in sums])


def _interval(table: Floats, sums: Floats, statistic: OfSums, method: str, confidence: float) -> Interval:
    total = table.sum(axis=0)
    estimate = statistic(total)
    n, label = len(table), f"bootstrap_{method}"
    if n == 1:
        return Interval(
            value=estimate, low=-math.inf, high=math.inf, n=1, method=label, confidence=confidence
        )
    draws = _of_each(statistic, sums)
    levels = ((1 - confidence) / 2, (1 + confidence) / 2)
    if method == "bca":
        levels = _bca_levels(estimate, draws, _of_each(statistic, total - table), confidence)
    low, high = np.quantile(draws, levels)
    return Interval(
        value=estimate, low=float(low), high=float(high), n=n, method=label, confidence=confidence
    )
