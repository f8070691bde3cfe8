"""Student's paired test against his own data, its clustered form against its limits, both against chance."""

import numpy as np
import pytest

from penstock.core.statistics import clustered_interval, clustered_t, paired_t, t_interval

FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_students_sleep_data() -> None:
    """Student (1908), table of hours of sleep gained; R's `t.test(extra ~ group, paired)`: p-value = 0.002833."""
    assert paired_t(FIRST, SECOND) == pytest.approx(0.002833, abs=5e-7)
    assert paired_t(SECOND, FIRST) == paired_t(FIRST, SECOND)


def test_agrees_with_its_interval() -> None:
    change = np.subtract(SECOND, FIRST)
    p = paired_t(FIRST, SECOND)
    assert t_interval(change, confidence=1 - p).low == pytest.approx(0.0, abs=1e-6)
    clusters = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    p = clustered_t(change, clusters)
    assert clustered_interval(change, clusters, confidence=1 - p).low == pytest.approx(0.0, abs=1e-6)


def test_limits() -> None:
    assert clustered_t(np.subtract(SECOND, FIRST), range(10)) == pytest.approx(paired_t(FIRST, SECOND))
    assert clustered_t([1.0, 2.0], ["a", "a"]) == 1.0
    assert (paired_t([1.0], [2.0]), paired_t([1, 2], [1, 2]), paired_t([1, 2], [2, 3])) == (1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="one pair"):
        paired_t([], [])


def test_false_alarms_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(7)
    alarms = [paired_t(np.zeros(25), rng.normal(size=25)) < 0.05 for _ in range(3000)]
    assert 0.04 < np.mean(alarms) < 0.06
    clusters = np.repeat(range(30), 5)
    moved = rng.normal(size=(3000, 30)).repeat(5, axis=1) + rng.normal(size=(3000, 150))
    clustered = np.mean([clustered_t(row, clusters) < 0.05 for row in moved[:1500]])
    ignoring = np.mean([paired_t(np.zeros(150), row) < 0.05 for row in moved[:1500]])
    assert 0.035 < clustered < 0.065
    assert ignoring > 0.15, "the clusters matter in this simulation"
