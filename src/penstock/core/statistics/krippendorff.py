"""Krippendorff's alpha: agreement of any number of raters, some of whose ratings may be missing."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.statistics.bootstrap import OfSums, bootstrap_interval
from penstock.core.statistics.interval import Interval

Floats = NDArray[np.float64]

MOST_ORDINAL_VALUES = 100
"""An ordinal scale has at most this many distinct values: pairs of them are counted."""


def _unit_counts(ratings: Floats) -> tuple[Floats, Floats]:
    """Return the distinct values, and how often each was given to each unit that has at least two ratings."""
    present = ~np.isnan(ratings)
    pairable = present.sum(axis=0) >= 2
    if not pairable.any():
        raise ValueError("alpha needs at least one unit with two ratings")
    kept, seen = ratings[:, pairable], present[:, pairable]
    values, codes = np.unique(kept[seen], return_inverse=True)
    if len(values) == 1:
        raise ValueError("alpha is undefined when all ratings are the same")
    units = np.nonzero(seen)[1]
    width = kept.shape[1]
    counts = np.bincount(units * len(values) + codes, minlength=width * len(values))
    return values, counts.reshape(width, len(values)).astype(np.float64)


def _alpha(observed: float, expected: float) -> float:
    return float(1.0 - observed / expected) if expected > 0 else 0.0


def _nominal(counts: Floats) -> tuple[Floats, OfSums]:
    size = counts.sum(axis=1)
    apart = (size**2 - (counts**2).sum(axis=1)) / (size - 1)

    def alpha(sums: Floats) -> float:
        given = sums[1:-1]
        n = given.sum()
        return _alpha(float(sums[0]), float((n * n - (given**2).sum()) / (n - 1)))

    return np.column_stack([apart, counts]), alpha


def _interval(counts: Floats, values: Floats) -> tuple[Floats, OfSums]:
    # Squared distances over all pairs are moments: sum of (a - b)² = 2(n·sum a² - (sum a)²).
    centred = values - values.mean()
    size, total, square = counts.sum(axis=1), counts @ centred, counts @ centred**2
    apart = 2 * (size * square - total**2) / (size - 1)

    def alpha(sums: Floats) -> float:
        n, first, second = sums[1:-1]
        return _alpha(float(sums[0]), float(2 * (n * second - first * first) / (n - 1)))

    return np.column_stack([apart, size, total, square]), alpha


def _ordinal(counts: Floats) -> tuple[Floats, OfSums]:
    levels = counts.shape[1]
    if levels > MOST_ORDINAL_VALUES:
        raise ValueError(f"an ordinal scale has at most {MOST_ORDINAL_VALUES} values here, not {levels}")
    low, high = np.triu_indices(levels, 1)
    share = 1.0 / (counts.sum(axis=1, keepdims=True) - 1)
    pairs = 2 * counts[:, low] * counts[:, high] * share

    def alpha(sums: Floats) -> float:
        given = sums[len(low) : -1]
        # The ratings between two values, half of the ends included, are the distance of their mid-ranks.
        place = np.cumsum(given) - given / 2
        distance = (place[high] - place[low]) ** 2
        expected = float((2 * given[low] * given[high] * distance).sum()) / (given.sum() - 1)
        return _alpha(float(sums[: len(low)] @ distance), expected)

    return np.hstack([pairs, counts]), alpha


def krippendorff_alpha(
    ratings: ArrayLike,
    *,
    level: str = "nominal",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return alpha of `ratings`, shape (raters, units), where NaN is a missing rating.

    `level` says what a distance between two values means: `nominal` (same or not), `ordinal` (how many
    ratings lie between) or `interval` (squared difference). Units with fewer than two ratings do not count,
    also not in `n`. The interval is the percentile bootstrap over units; a resample without variation
    counts as 0. Raises ValueError when alpha is undefined: no unit with two ratings, or one value only.
    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    data = np.asarray(ratings, dtype=np.float64)
    if data.ndim != 2:
        raise ValueError("alpha needs ratings of shape (raters, units)")
    values, counts = _unit_counts(data)
    if level == "nominal":
        table, statistic = _nominal(counts)
    elif level == "ordinal":
        table, statistic = _ordinal(counts)
    elif level == "interval":
        table, statistic = _interval(counts, values)
    else:
        raise ValueError(f"level must be 'nominal', 'ordinal' or 'interval', not {level!r}")
    return bootstrap_interval(
        table,
        statistic=statistic,
        method="percentile",
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
