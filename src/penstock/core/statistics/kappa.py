"""Agreement of raters beyond chance: Cohen's kappa for two, Fleiss' kappa for more."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.statistics.bootstrap import bootstrap_interval
from penstock.core.statistics.interval import Interval, normal_quantile

Floats = NDArray[np.float64]

_POWERS = {"linear": 1, "quadratic": 2}


def _agreement_weights(size: int, weights: str) -> Floats:
    if weights == "none":
        return np.eye(size)
    if weights not in _POWERS:
        raise ValueError(f"weights must be 'none', 'linear' or 'quadratic', not {weights!r}")
    steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / (size - 1)
    return np.asarray(1.0 - steps ** _POWERS[weights], dtype=np.float64)


def cohen_kappa(
    first: ArrayLike, second: ArrayLike, *, weights: str = "none", confidence: float = 0.95
) -> Interval:
    """Return Cohen's kappa of two raters' labels of the same items, with its large-sample interval.

    `weights` is `none` (labels agree or not), or `linear` or `quadratic` in the distance between the
    labels' places in sorted order. Raises ValueError when only one label was used,
    since chance then explains everything. Sources: Cohen, Educational and Psychological Measurement 20
    (1960) 37-46; weights: Psychological Bulletin 70 (1968) 213-220; variance: Fleiss, Cohen and Everitt,
    Psychological Bulletin 72 (1969) 323-327. The interval is cut at 1 and at -1.
    """
    one, two = np.asarray(first), np.asarray(second)
    if one.shape != two.shape or one.ndim != 1 or one.size == 0:
        raise ValueError("kappa needs the labels of two raters for the same items, at least one")
    labels, codes = np.unique(np.concatenate([one, two]), return_inverse=True)
    n, size = one.size, len(labels)
    if size == 1:
        raise ValueError("kappa is undefined when only one label was given")
    cells = np.bincount(codes[:n] * size + codes[n:], minlength=size * size).reshape(size, size) / n
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    weight = _agreement_weights(size, weights)
    observed = float((weight * cells).sum())
    chance = float(rows @ weight @ columns)
    kappa = (observed - chance) / (1 - chance)
    margin = np.add.outer(weight @ columns, rows @ weight)
    spread = float((cells * (weight - margin * (1 - kappa)) ** 2).sum()) - (kappa - chance * (1 - kappa)) ** 2
    half = normal_quantile(confidence) * math.sqrt(max(0.0, spread) / n) / (1 - chance)
    return Interval(
        value=kappa,
        low=max(-1.0, kappa - half),
        high=min(1.0, kappa + half),
        n=n,
        method="cohen_kappa",
        confidence=confidence,
    )


def _fleiss_of_sums(sums: Floats, raters: float) -> float:
    """Return kappa from the sums of [each category's ratings..., squared counts, items]; 0 without variation."""
    items = sums[-1]
    shares = sums[:-2] / (items * raters)
    chance = float((shares**2).sum())
    if chance >= 1.0 - 1e-12:
        return 0.0
    observed = float(sums[-2] - items * raters) / float(items * raters * (raters - 1))
    return (observed - chance) / (1 - chance)


def fleiss_kappa(
    counts: ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return Fleiss' kappa of `counts`, shape (items, categories): how many raters gave an item a category.

    Every item has the same number of raters, at least two, who need not be the same people. The interval
    is the percentile bootstrap over items; a resample in which every rating is the same counts as 0.
    Raises ValueError for other shapes and when only one category was used. For missing ratings use
    `krippendorff_alpha`. Source: Fleiss, Psychological Bulletin 76 (1971) 378-382.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or len(table) == 0 or np.any(table < 0):
        raise ValueError("Fleiss' kappa needs counts of shape (items, categories), none negative")
    raters = float(table[0].sum())
    if raters < 2 or np.any(table.sum(axis=1) != raters):
        raise ValueError("Fleiss' kappa needs the same number of raters for every item, at least two")
    if np.count_nonzero(table.sum(axis=0)) == 1:
        raise ValueError("kappa is undefined when only one label was given")
    return bootstrap_interval(
        np.hstack([table, (table**2).sum(axis=1, keepdims=True)]),
        statistic=lambda sums: _fleiss_of_sums(sums, raters),
        method="percentile",
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
