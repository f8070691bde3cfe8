"""Prediction-powered inference: few trusted labels, made sharper by many predictions of a judge."""

import math

import numpy as np
from numpy.typing import ArrayLike

from penstock.core.statistics.interval import Interval, normal_quantile


def prediction_powered(
    labels: ArrayLike,
    predictions: ArrayLike,
    unlabelled: ArrayLike,
    *,
    weight: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Return the interval of the mean label (a proportion when labels are 0 or 1).

    `labels` are trusted values, `predictions` what the judge said of the same samples in the same order,
    `unlabelled` what it said of further samples of the same kind. However wrong the judge is, the interval
    stays honest; `weight` is how far to follow it: 0 ignores it, 1 is the original method, None chooses
    the value in 0..1 that makes the interval shortest. `n` is the number of labels. At least two values
    on each side are needed; the normal approximation wants some 50 labels. Sources: Angelopoulos et al.,
    Science 382 (2023) 669-674; PPI++: Angelopoulos, Duchi and Zrnic (2023), arXiv:2311.01453, power tuning.
    """
    truth, said, more = (np.asarray(side, dtype=np.float64) for side in (labels, predictions, unlabelled))
    if truth.shape != said.shape or truth.ndim != 1 or more.ndim != 1:
        raise ValueError("labels and predictions are of the same samples, in one dimension")
    n, m = truth.size, more.size
    if n < 2 or m < 2:
        raise ValueError("at least two labels and two further predictions are needed")
    if weight is None:
        variance = float(np.concatenate([said, more]).var(ddof=1))
        shared = float(np.cov(truth, said, ddof=1)[0, 1])
        weight = min(1.0, max(0.0, shared / ((1 + n / m) * variance))) if variance > 0 else 0.0
    rest = truth - weight * said
    estimate = weight * float(more.mean()) + float(rest.mean())
    error = math.sqrt(weight**2 * float(more.var(ddof=1)) / m + float(rest.var(ddof=1)) / n)
    half = normal_quantile(confidence) * error
    return Interval(
        value=estimate,
        low=estimate - half,
        high=estimate + half,
        n=n,
        method="prediction_powered",
        confidence=confidence,
    )
