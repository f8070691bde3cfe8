"""Intervals of a quantile."""

import math

import numpy as np
import pytest

from penstock.core.statistics import quantile_interval


def test_median_ranks_of_the_sign_test_table() -> None:
    """For n = 25 and 95 % the median lies between the 8th and 18th values (Conover, section 3.2)."""
    found = quantile_interval(range(1, 26), 0.5)
    assert (found.value, found.low, found.high) == (13, 8, 18)


def test_too_few_values_do_not_bound() -> None:
    found = quantile_interval(range(20), 0.99)
    assert found.high == math.inf
    assert quantile_interval([1.0], 0.5).low == -math.inf
    with pytest.raises(ValueError, match="at least one"):
        quantile_interval([], 0.5)


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_coverage(q: float) -> None:
    rng, truth = np.random.default_rng(7), -math.log(1 - q)
    found = [quantile_interval(rng.exponential(size=150), q) for _ in range(800)]
    assert 0.94 <= np.mean([i.low <= truth <= i.high for i in found]) <= 0.99
