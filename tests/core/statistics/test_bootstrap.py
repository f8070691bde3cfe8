"""Bootstrap intervals: Efron and Tibshirani's spatial test data, and coverage."""

import math

import numpy as np
import pytest

from penstock.core.statistics import bootstrap_interval, bootstrap_means

SPATIAL_A = [
    48,
    36,
    20,
    29,
    42,
    42,
    20,
    42,
    22,
    41,
    45,
    14,
    6,
    0,
    33,
    28,
    34,
    4,
    32,
    24,
    47,
    41,
    24,
    26,
    30,
    41,
]
"""Efron and Tibshirani, An Introduction to the Bootstrap (1993), Table 14.1."""


def variance(sums: np.ndarray) -> float:
    return float(sums[1] / sums[2] - (sums[0] / sums[2]) ** 2)


@pytest.mark.parametrize(("method", "low", "high"), [("percentile", 100.8, 233.9), ("bca", 115.8, 259.6)])
def test_published_intervals_of_a_variance(method: str, low: float, high: float) -> None:
    """Their Table 14.2: 90 % intervals from 2000 resamples: a Monte Carlo error of 2 to 4."""
    a = np.array(SPATIAL_A, dtype=float)
    rows = np.stack([a, a * a], axis=1)
    found = bootstrap_interval(rows, statistic=variance, method=method, resamples=20_000, confidence=0.9)
    assert found.value == pytest.approx(171.5, abs=0.05)
    assert found.low == pytest.approx(low, abs=5)
    assert found.high == pytest.approx(high, abs=8)


def test_the_same_seed_gives_the_same_interval() -> None:
    data = np.random.default_rng(3).exponential(size=50)
    assert bootstrap_interval(data, seed=4) == bootstrap_interval(data, seed=4)
    assert bootstrap_interval(data, seed=4) != bootstrap_interval(data, seed=5)


def test_chunks_do_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.core.statistics import bootstrap

    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 70)
    sums = bootstrap.resampled_sums(bootstrap.as_table([1.0] * 20), 25, seed=0)
    assert sums.shape == (25, 2)
    assert np.all(sums == 20)


def test_degenerate_data() -> None:
    same = bootstrap_interval([2.0, 2.0, 2.0])
    assert (same.value, same.low, same.high) == (2.0, 2.0, 2.0)
    one = bootstrap_interval([7.0])
    assert (one.low, one.high) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match="method"):
        bootstrap_interval([1.0], method="magic")


def test_coverage_on_skewed_values() -> None:
    rng = np.random.default_rng(6)
    found = [bootstrap_interval(rng.exponential(size=60), resamples=600, seed=i) for i in range(400)]
    assert 0.90 <= np.mean([i.low <= 1 <= i.high for i in found]) <= 0.975


def test_means_of_several_columns_are_each_columns_own_interval() -> None:
    rng = np.random.default_rng(5)
    columns = [rng.normal(size=60), rng.exponential(size=60), np.ones(60)]
    for found, alone in zip(
        bootstrap_means(columns, seed=3), (bootstrap_interval(one, seed=3) for one in columns), strict=True
    ):
        assert (found.n, found.method) == (alone.n, alone.method)
        assert [found.value, found.low, found.high] == pytest.approx([alone.value, alone.low, alone.high])
    assert bootstrap_means([]) == []
    assert bootstrap_means([[2.0], [3.0]])[1].value == 3.0
    assert math.isinf(bootstrap_means([[2.0]])[0].high)
