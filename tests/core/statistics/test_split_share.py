"""The exact test of rare events: against quadrature, and its error rate by simulation."""

import math

import numpy as np
import pytest

from penstock.core.statistics.split_share import log_excess_evidence


def test_it_is_the_integral_that_it_stands_for() -> None:
    events, others, share = 7, 30, 0.1
    shares = np.linspace(share, 1, 2_000_001)[1:-1]
    ratio = (shares / share) ** events * ((1 - shares) / (1 - share)) ** others
    assert log_excess_evidence(events, others, share) == pytest.approx(math.log(ratio.mean()), abs=1e-4)


def test_the_first_events_on_a_small_side_count_most() -> None:
    assert log_excess_evidence(0, 0, 0.05) == pytest.approx(0.0)
    assert log_excess_evidence(3, 0, 0.05) > math.log(1000)
    assert log_excess_evidence(0, 5, 0.05) < 0
    assert log_excess_evidence(0, 100_000, 0.9) == -math.inf
    with pytest.raises(ValueError, match="strictly between"):
        log_excess_evidence(1, 1, 1.0)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_looking_after_every_event_is_wrong_no_more_often_than_promised(share: float) -> None:
    sides = np.random.default_rng(3).random((400, 150)) < share
    known: dict[tuple[int, int], float] = {}
    wrong = 0
    for run in sides:
        ours = 0
        for number, mine in enumerate(run, 1):
            ours += int(mine)
            at = (ours, number - ours)
            found = known.setdefault(at, log_excess_evidence(*at, share))
            if found >= -math.log(0.05):
                wrong += 1
                break
    assert wrong / len(sides) <= 0.05
