"""Sample sizes and power."""

import numpy as np
import pytest

from penstock.core.statistics import (
    mcnemar_exact,
    minimum_detectable_effect,
    paired_power,
    pairs_needed,
    two_sample_size,
)


def test_published_sample_size() -> None:
    """R's documentation of power.prop.test: p1 .50, p2 .75, power .90 gives n = 76.7 per group."""
    assert two_sample_size(0.50, 0.75, power=0.9) == 77
    with pytest.raises(ValueError, match="equal"):
        two_sample_size(0.5, 0.5)


def test_power_sample_size_and_detectable_effect_agree() -> None:
    n = pairs_needed(0.05, 0.2)
    assert paired_power(0.05, 0.2, n) >= 0.8 > paired_power(0.05, 0.2, n - 1)
    assert minimum_detectable_effect(0.2, n) == pytest.approx(0.05, abs=1e-3)
    assert minimum_detectable_effect(0.2, 1) == 1.0
    with pytest.raises(ValueError, match="discordant"):
        paired_power(0.3, 0.2, 100)


def test_power_by_simulation() -> None:
    draws = np.random.default_rng(13).multinomial(300, (0.6, 0.15, 0.07, 0.18), size=1500)
    shown = np.mean([mcnemar_exact(int(b), int(c)) < 0.05 for _, b, c, _ in draws])
    # The exact test is a little more cautious than the formula's asymptotic one.
    assert paired_power(0.08, 0.22, 300) == pytest.approx(shown, abs=0.06)
