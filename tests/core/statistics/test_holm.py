"""Holm's correction."""

import numpy as np
import pytest

from penstock.core.statistics import holm


def test_worked_example() -> None:
    """The example of R's p.adjust(c(0.01, 0.04, 0.03), "holm"): 0.03 0.06 0.06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_chance_of_any_false_alarm() -> None:
    draws = np.random.default_rng(12).uniform(size=(4000, 6))
    alarms = np.mean([min(holm(list(row))) < 0.05 for row in draws])
    assert 0.035 <= alarms <= 0.06
