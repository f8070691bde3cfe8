"""Power of the paired t test against published values and a simulation."""

import math

import numpy as np
import pytest

from penstock.core.statistics import mean_detectable_effect, mean_pairs_needed, mean_power, paired_t


def test_published_power() -> None:
    """Faul et al., Behavior Research Methods 39 (2007) (G*Power), matched pairs: dz 0.5 needs 34, power 0.8077775."""
    assert mean_pairs_needed(0.5, 1.0) == 34
    assert mean_power(0.5, 1.0, 34) == pytest.approx(0.8077775, abs=5e-7)
    assert mean_power(-5.0, 10.0, 34) == pytest.approx(0.8077775, abs=5e-7)


@pytest.mark.parametrize("n", [2, 3, 10, 1000, 100_000])
def test_without_an_effect_power_is_the_false_alarm_rate(n: int) -> None:
    assert mean_power(0.0, 1.0, n) == pytest.approx(0.05, abs=2e-4)


def test_the_detectable_effect_inverts_power() -> None:
    effect = mean_detectable_effect(0.4, 200)
    assert mean_power(effect, 0.4, 200) == pytest.approx(0.8, abs=1e-9)
    assert mean_pairs_needed(effect, 0.4) in (200, 201)
    assert mean_detectable_effect(1.0, 1) == math.inf
    assert mean_power(1.0, 1.0, 1) == 0.0
    with pytest.raises(ValueError, match="standard deviation"):
        mean_power(1.0, 0.0, 10)
    with pytest.raises(ValueError, match="effect"):
        mean_pairs_needed(0.0, 1.0)


def test_power_by_simulation() -> None:
    rng = np.random.default_rng(3)
    shown = np.mean([paired_t(np.zeros(12), rng.normal(0.7, 1, 12)) < 0.05 for _ in range(3000)])
    assert mean_power(0.7, 1.0, 12) == pytest.approx(shown, abs=0.03)
