"""The best of several arms: shares against what is known of them, and being right about the best."""

import numpy as np
import pytest

from penstock.core.statistics.best_arm import (
    Pulls,
    chances_of_best,
    found_best,
    top_two_shares,
    tracking_shares,
)


def _arms(*means: float, n: float = 100.0, variance: float = 1.0) -> list[Pulls]:
    return [Pulls(n=n, mean=mean, variance=variance) for mean in means]


def test_chances_of_best_follow_the_posterior() -> None:
    assert chances_of_best(_arms(1.0, 1.0), seed=1) == pytest.approx([0.5, 0.5], abs=0.03)
    clear = chances_of_best(_arms(1.0, 0.0, 0.0), seed=1)
    assert clear[0] > 0.999 and min(clear) > 0
    # N(0.1, 2/100): P(difference > 0) = Phi(0.1 / sqrt(0.02)) = 0.760
    assert chances_of_best(_arms(0.1, 0.0), seed=1)[0] == pytest.approx(0.760, abs=0.03)


def test_top_two_asks_the_leader_half_the_time_and_its_rivals_by_their_chances() -> None:
    assert top_two_shares([0.5, 0.5]) == pytest.approx([0.5, 0.5])
    shares = top_two_shares([0.98, 0.015, 0.005])
    assert shares[0] == pytest.approx(0.5, abs=0.02) and shares[1] == pytest.approx(3 * shares[2], rel=0.05)
    assert sum(top_two_shares([0.6, 0.3, 0.1])) == pytest.approx(1.0)
    assert top_two_shares([0.6, 0.3, 0.1])[2] == pytest.approx(
        0.5 * 0.1 + 0.5 * (0.6 * 0.1 / 0.4 + 0.3 * 0.1 / 0.7), rel=1e-9
    )


def test_tracking_shares_are_the_best_that_there_are() -> None:
    assert tracking_shares(_arms(1.0, 0.0)) == pytest.approx([0.5, 0.5], abs=1e-6)
    assert tracking_shares(_arms(1.0, 1.0, 0.0)) == pytest.approx([1 / 3] * 3)
    arms = [
        Pulls(n=1, mean=1.0, variance=1.0),
        Pulls(n=1, mean=0.7, variance=2.0),
        Pulls(n=1, mean=0.2, variance=0.5),
    ]

    def slowest(shares: np.ndarray) -> float:  # type: ignore[type-arg]
        lead = arms[0].variance / shares[0]
        return min(
            (arms[0].mean - arm.mean) ** 2 / (2 * (lead + arm.variance / share))
            for arm, share in zip(arms[1:], shares[1:], strict=True)
        )

    found = np.array(tracking_shares(arms))
    assert found.sum() == pytest.approx(1.0)
    grid = np.random.default_rng(5).dirichlet([2, 2, 1], size=20_000)
    assert slowest(found) >= max(map(slowest, grid)) - 1e-6


@pytest.mark.parametrize("sampler", ["equal", "top_two", "track"])
def test_the_arm_that_is_found_is_the_best(sampler: str) -> None:
    """Chosen adaptively in batches and looked at after each: wrong no more often than 5 %, by far."""
    rng, truth = np.random.default_rng(6), [0.5, 0.5, 0.65]
    wrong = taken = 0
    for _ in range(60):
        counts, sums = np.full(3, 50.0), np.array([rng.binomial(50, p) for p in truth], dtype=float)
        while True:
            means = sums / counts
            arms = [
                Pulls(n=n, mean=mean, variance=max(mean * (1 - mean), 0.01))
                for n, mean in zip(counts, means, strict=True)
            ]
            best = found_best(arms, 0.05)
            if best is not None:
                break
            shares = {
                "equal": [1 / 3] * 3,
                "top_two": top_two_shares(chances_of_best(arms, seed=int(counts.sum()), draws=500)),
                "track": tracking_shares(arms),
            }[sampler]
            asked = rng.multinomial(300, np.array(shares) / sum(shares))
            counts += asked
            sums += [rng.binomial(n, p) for n, p in zip(asked, truth, strict=True)]
        wrong += best != 2
        taken += int(counts.sum())
    assert wrong <= 3 and taken / 60 < 6000


def test_too_little_is_no_answer() -> None:
    assert found_best(_arms(1.0, 0.0, n=1), 0.05) is None
    assert found_best(_arms(1.0), 0.05) is None
    assert found_best(_arms(0.1, 0.0), 0.05) is None
    assert found_best(_arms(2.0, 0.0, n=500), 0.05) == 0
