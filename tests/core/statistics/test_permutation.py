"""Permutation tests: Fisher's worked example, level and power."""

import numpy as np
import pytest

from penstock.core.statistics import paired_permutation
from penstock.core.statistics.bootstrap import Floats

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Crossed minus self-fertilised maize, in eighths of an inch (Fisher 1935, section 17)."""


def test_darwins_maize() -> None:
    """Fisher 1935, section 21: 863 of 32768 sums are as large, one-sided; 5.267 % two-sided."""
    assert paired_permutation([0] * 15, DARWIN, resamples=200_000) == pytest.approx(0.05267, abs=0.002)
    # One pair less keeps it exact: the largest-but-few pairs are counted, not sampled.
    exact = paired_permutation([0] * 14, DARWIN[:-1])
    assert exact * 2**14 == pytest.approx(round(exact * 2**14))


def test_no_difference_is_certain() -> None:
    assert paired_permutation([1, 2, 3], [1, 2, 3]) == 1.0
    with pytest.raises(ValueError, match="same samples"):
        paired_permutation([1], [1, 2])


def test_a_statistic_of_sums_agrees_with_the_mean() -> None:
    rng = np.random.default_rng(10)
    first, second = rng.normal(size=40), rng.normal(0.4, 1, size=40)

    def mean(sums: Floats) -> float:
        return float(sums[0] / sums[-1])

    assert paired_permutation(first, second, statistic=mean, seed=1, resamples=2000) == pytest.approx(
        paired_permutation(first, second, seed=1, resamples=2000)
    )


def test_level_and_power() -> None:
    rng = np.random.default_rng(11)

    def share(shift: float) -> float:
        pairs = [(rng.normal(size=30), rng.normal(size=30)) for _ in range(300)]
        return float(np.mean([paired_permutation(a, b + shift, resamples=400) < 0.05 for a, b in pairs]))

    assert share(0.0) <= 0.08
    assert share(1.5) >= 0.99
