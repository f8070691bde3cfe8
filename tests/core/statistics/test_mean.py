"""Student's t: tables, and coverage."""

import math

import numpy as np
import pytest

from penstock.core.statistics import t_interval
from penstock.core.statistics.student import t_cdf, t_quantile


@pytest.mark.parametrize(
    ("confidence", "df", "table"),
    [(0.95, 1, 12.706), (0.95, 10, 2.228), (0.99, 30, 2.750), (0.95, 120, 1.980), (0.90, 5, 2.015)],
)
def test_quantiles_of_the_t_table(confidence: float, df: int, table: float) -> None:
    assert t_quantile(confidence, df) == pytest.approx(table, abs=6e-4)


def test_cdf_inverts_the_quantile() -> None:
    for df in (1, 3, 17, 400):
        assert t_cdf(t_quantile(0.95, df), df) == pytest.approx(0.975, abs=1e-9)
        assert t_cdf(-t_quantile(0.95, df), df) == pytest.approx(0.025, abs=1e-9)
    assert t_cdf(0, 7) == pytest.approx(0.5)


def test_sleep_data_of_student() -> None:
    """Extra sleep by the second drug minus the first (Student 1908): mean 1.58, interval 0.70 to 2.46."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = t_interval(np.subtract(second, first))
    assert found.value == pytest.approx(1.58)
    assert (found.low, found.high) == (pytest.approx(0.7001, abs=1e-4), pytest.approx(2.4599, abs=1e-4))


def test_one_value_is_unbounded_and_none_is_refused() -> None:
    found = t_interval([3.0])
    assert (found.value, found.low, found.high) == (3.0, -math.inf, math.inf)
    with pytest.raises(ValueError, match="at least one"):
        t_interval([])


def test_coverage() -> None:
    rng = np.random.default_rng(2)
    found = [t_interval(rng.normal(5, 2, size=8)) for _ in range(2000)]
    assert 0.935 <= np.mean([i.low <= 5 <= i.high for i in found]) <= 0.965
