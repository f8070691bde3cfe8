"""Intervals for samples that come in clusters: several questions on one passage, several tries of one task."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.statistics.interval import Interval
from penstock.core.statistics.student import t_quantile

Floats = NDArray[np.float64]


def _scores(values: ArrayLike, clusters: ArrayLike) -> tuple[Floats, list[str]]:
    data = np.asarray(values, dtype=np.float64)
    names = [str(cluster) for cluster in np.asarray(clusters).ravel().tolist()]
    if data.ndim != 1 or data.size == 0:
        raise ValueError("a mean needs at least one value, in one dimension")
    if len(names) != data.size:
        raise ValueError(f"{data.size} values do not have {len(names)} clusters")
    return data, names


def _standard_error(influence: Floats, clusters: list[str]) -> tuple[float, int]:
    """Return the CR1 standard error of the sum of `influence`, and the number of clusters."""
    _, codes = np.unique(clusters, return_inverse=True)
    totals = np.bincount(codes, weights=influence)
    count = len(totals)
    if count == 1:
        return math.inf, 1
    return math.sqrt(count / (count - 1) * float((totals**2).sum())), count


def clustered_standard_error(values: ArrayLike, clusters: ArrayLike) -> float:
    """Return the cluster-robust standard error of the mean of `values`; infinite for a single cluster.

    `clusters` has one id per value. Source: Miller, Adding Error Bars to Evals (2024), arXiv:2411.00640,
    times the CR1 factor sqrt(G/(G - 1)) for G clusters of Cameron and Miller, Journal of Human Resources 50
    (2015) 317-372. With one value per cluster it is s/sqrt(n).
    """
    data, names = _scores(values, clusters)
    return _standard_error((data - data.mean()) / data.size, names)[0]


def _interval(estimate: float, influence: Floats, clusters: list[str], confidence: float) -> Interval:
    error, count = _standard_error(influence, clusters)
    half = math.inf if count == 1 else t_quantile(confidence, count - 1) * error
    return Interval(
        value=estimate,
        low=estimate - half,
        high=estimate + half,
        n=influence.size,
        method="clustered",
        confidence=confidence,
    )


def clustered_interval(values: ArrayLike, clusters: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return mean ± t·SE with `clustered_standard_error` and t of G - 1 degrees of freedom for G clusters.

    A single cluster has an unbounded interval. For two systems on the same samples pass the differences
    per sample (Miller 2024, paired differences). Fewer than about 20 clusters, or one that holds most samples,
    make the interval too short (Cameron and Miller 2015, few clusters).
    """
    data, names = _scores(values, clusters)
    mean = float(data.mean())
    return _interval(mean, (data - mean) / data.size, names, confidence)


def clustered_difference(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    baseline_clusters: ArrayLike,
    candidate_clusters: ArrayLike,
    confidence: float = 0.95,
) -> Interval:
    """Return the interval of mean(candidate) - mean(baseline), measured on samples that need not pair.

    A cluster id that occurs on both sides is the same cluster: its values may depend on each other across
    the two systems. `n` of the result is the number of values of both sides together. Source: the sources
    of `clustered_standard_error`, for the regression on which side a value is from; CR1 factor G/(G - 1).
    """
    first, first_names = _scores(baseline, baseline_clusters)
    second, second_names = _scores(candidate, candidate_clusters)
    means = float(first.mean()), float(second.mean())
    influence = np.concatenate([(means[0] - first) / first.size, (second - means[1]) / second.size])
    return _interval(means[1] - means[0], influence, first_names + second_names, confidence)
