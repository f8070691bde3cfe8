"""pass@k: counted by hand, all subsets, and unbiased where the plug-in is not."""

import itertools

import numpy as np
import pytest

from penstock.core.statistics import pass_at_k, pass_at_k_interval


@pytest.mark.parametrize(
    ("attempts", "passed", "k", "value"),
    [(5, 2, 2, 0.7), (10, 3, 1, 0.3), (4, 0, 3, 0.0), (4, 2, 3, 1.0), (200, 1, 100, 0.5), (3, 3, 1, 1.0)],
)
def test_values_counted_by_hand(attempts: int, passed: int, k: int, value: float) -> None:
    assert pass_at_k(attempts, passed, k) == pytest.approx(value)


def test_all_subsets_of_the_attempts() -> None:
    for passed in range(8):
        outcomes = [1] * passed + [0] * (7 - passed)
        for k in range(1, 8):
            share = np.mean([any(chosen) for chosen in itertools.combinations(outcomes, k)])
            assert pass_at_k(7, passed, k) == pytest.approx(share)


@pytest.mark.parametrize(("attempts", "passed", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0)])
def test_impossible_counts_are_refused(attempts: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match="attempts"):
        pass_at_k(attempts, passed, k)


def test_unbiased_where_the_plug_in_is_not() -> None:
    """Chen et al. (2021), appendix A: 1 - (1 - c/n)^k is too low; with p = 0.1, pass@10 is 0.651."""
    rng, truth = np.random.default_rng(0), 1 - 0.9**10
    counts = rng.binomial(20, 0.1, size=20_000)
    table = np.array([pass_at_k(20, c, 10) for c in range(21)])
    assert table[counts].mean() == pytest.approx(truth, abs=0.006)
    assert (1 - (1 - counts / 20) ** 10).mean() < truth - 0.05


def test_problems_are_the_unit() -> None:
    found = pass_at_k_interval([(5, 2), (5, 5), (5, 0), (5, 1)], 2)
    assert found.value == pytest.approx((0.7 + 1 + 0 + 0.4) / 4)
    assert (found.n, found.low, found.high) == (4, 0.0, 1.0)


def test_coverage_over_problems_of_different_difficulty() -> None:
    """Difficulty is uniform, so pass@2 is 1 - E(1 - p)² = 2/3."""
    rng, covered = np.random.default_rng(1), 0
    for _ in range(500):
        passed = rng.binomial(6, rng.random(60))
        found = pass_at_k_interval([(6, int(c)) for c in passed], 2)
        covered += found.low <= 2 / 3 <= found.high
    assert 0.925 <= covered / 500 <= 0.975
