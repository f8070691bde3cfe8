"""Whether a split works: a broken one is seen, a working one is left alone however often one looks."""

import math

import numpy as np
import pytest

from penstock.core.statistics.sample_ratio import log_mismatch_evidence


def test_it_is_a_ratio_of_probabilities() -> None:
    """Against the urn: each unit's arm drawn with (prior share + seen) / (prior + all seen)."""
    order, shares, prior = [0, 1, 1, 0, 1, 2], [0.5, 0.3, 0.2], 10.0
    counts, expected = [0, 0, 0], 0.0
    for arm in order:
        chance = (prior * shares[arm] + counts[arm]) / (prior + sum(counts))
        expected += math.log(chance / shares[arm])
        counts[arm] += 1
    assert log_mismatch_evidence(counts, shares, prior=prior) == pytest.approx(expected)


def test_edges() -> None:
    assert log_mismatch_evidence([0, 0], [1, 1]) == 0.0
    assert log_mismatch_evidence([10, 0], [1, 0]) == 0.0
    assert log_mismatch_evidence([10, 1], [1, 0]) == math.inf


def test_a_working_split_is_left_alone_and_a_broken_one_is_seen() -> None:
    rng = np.random.default_rng(4)

    def stopped(true: float, alpha: float, units: int) -> float:
        runs = (rng.random((300, units)) < true).cumsum(axis=1)
        looks = range(9, units, 10)
        hits = [
            any(
                log_mismatch_evidence([int(run[at]), at + 1 - int(run[at])], [0.2, 0.8]) >= -math.log(alpha)
                for at in looks
            )
            for run in runs
        ]
        return float(np.mean(hits))

    assert stopped(0.2, 0.05, 1000) <= 0.05
    assert stopped(0.27, 0.001, 2000) > 0.95
