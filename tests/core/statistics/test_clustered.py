"""Clustered intervals: a textbook sample, identities, and coverage where plain intervals fail."""

import math

import numpy as np
import pytest

from penstock.core.statistics import (
    clustered_difference,
    clustered_interval,
    clustered_standard_error,
    t_interval,
)

GRADES = [
    [3.08, 2.60, 3.44, 3.04],
    [2.36, 3.04, 3.28, 2.68],
    [2.00, 2.56, 2.52, 1.88],
    [3.00, 2.88, 3.44, 3.64],
    [2.68, 1.92, 3.28, 3.20],
]
"""Lohr, Sampling: Design and Analysis (2nd ed., 2010), Example 5.2: grades of four students in five suites."""

SUITES = np.repeat(["a", "b", "c", "d", "e"], 4)


def test_published_standard_error() -> None:
    """Lohr: mean 2.826 and standard error 0.164 with her correction sqrt(1 - 5/100) for a finite dormitory."""
    found = clustered_interval(np.ravel(GRADES), SUITES)
    assert found.value == pytest.approx(2.826, abs=5e-4)
    assert clustered_standard_error(np.ravel(GRADES), SUITES) * math.sqrt(0.95) == pytest.approx(
        0.164, abs=5e-4
    )
    assert found.n == 20


def test_equal_clusters_are_students_t_of_their_means() -> None:
    clustered, plain = clustered_interval(np.ravel(GRADES), SUITES), t_interval(np.mean(GRADES, axis=1))
    assert (clustered.low, clustered.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_own_clusters_are_students_t() -> None:
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0]
    clustered, plain = clustered_interval(values, range(6)), t_interval(values)
    assert (clustered.low, clustered.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_repeating_every_sample_adds_nothing() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    once, thrice = clustered_standard_error(values, range(5)), np.repeat(values, 3)
    assert clustered_standard_error(thrice, np.repeat(range(5), 3)) == pytest.approx(once)
    assert clustered_standard_error(thrice, range(15)) < 0.6 * once


def test_a_difference_on_the_same_samples_is_the_mean_of_differences() -> None:
    rng = np.random.default_rng(8)
    first, second, clusters = rng.normal(size=30), rng.normal(size=30), rng.integers(0, 9, size=30)
    found = clustered_difference(first, second, baseline_clusters=clusters, candidate_clusters=clusters)
    paired = clustered_interval(second - first, clusters)
    assert (found.value, found.low) == (pytest.approx(paired.value), pytest.approx(paired.low))


def test_a_difference_of_separate_clusters_adds_the_variances() -> None:
    """Up to the CR1 factor, which counts the clusters of both sides together."""
    rng = np.random.default_rng(9)
    first, second = rng.normal(size=40), rng.normal(size=24)
    ones, twos = np.repeat(range(10), 4), np.repeat(range(100, 108), 3)
    found = clustered_difference(first, second, baseline_clusters=ones, candidate_clusters=twos)
    variance = 9 / 10 * clustered_standard_error(first, ones) ** 2
    variance += 7 / 8 * clustered_standard_error(second, twos) ** 2
    # t for 17 degrees of freedom from the table: 2.110.
    assert found.high - found.value == pytest.approx(2.110 * math.sqrt(variance * 18 / 17), rel=5e-4)
    assert found.n == 64


def test_one_cluster_is_unbounded_and_wrong_lengths_are_refused() -> None:
    found = clustered_interval([1.0, 2.0], ["a", "a"])
    assert (found.value, found.low, found.high) == (1.5, -math.inf, math.inf)
    with pytest.raises(ValueError, match="do not have"):
        clustered_interval([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="at least one"):
        clustered_standard_error([], [])


def test_coverage_where_the_plain_interval_is_too_short() -> None:
    """40 clusters of 1 to 9 values, correlated 1/2 within; 0 is the true mean."""
    rng = np.random.default_rng(10)
    clustered, plain = 0, 0
    for _ in range(1000):
        clusters = np.repeat(np.arange(40), rng.integers(1, 10, size=40))
        values = rng.normal(size=40)[clusters] + rng.normal(size=clusters.size)
        found, naive = clustered_interval(values, clusters), t_interval(values)
        clustered += found.low <= 0 <= found.high
        plain += naive.low <= 0 <= naive.high
    assert 0.92 <= clustered / 1000 <= 0.97
    assert plain / 1000 < 0.85


def test_false_positives_of_a_difference() -> None:
    """Two equal systems on overlapping documents: 0 is excluded about one time in twenty."""
    rng, wrong = np.random.default_rng(11), 0
    for _ in range(1000):
        document = rng.normal(size=60)
        ones, twos = np.repeat(np.arange(40), 3), np.repeat(np.arange(20, 60), 3)
        first = document[ones] + rng.normal(size=120)
        second = document[twos] + rng.normal(size=120)
        found = clustered_difference(first, second, baseline_clusters=ones, candidate_clusters=twos)
        wrong += not found.low <= 0 <= found.high
    assert 0.03 <= wrong / 1000 <= 0.075
