"""Intervals of a proportion, against Newcombe (1998), Table I, and by simulation."""

import numpy as np
import pytest

from penstock.core.statistics import clopper_pearson, wilson

NEWCOMBE_1998_TABLE_I = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("hits", "n", "score", "exact"), NEWCOMBE_1998_TABLE_I)
def test_published_values(hits: int, n: int, score: tuple[float, float], exact: tuple[float, float]) -> None:
    found = wilson(hits, n)
    assert (round(found.low, 4), round(found.high, 4)) == score
    found = clopper_pearson(hits, n)
    assert (round(found.low, 4), round(found.high, 4)) == exact
    assert found.value == hits / n
    assert found.n == n


def test_the_ends_are_exact() -> None:
    assert wilson(0, 5).low == 0.0
    assert wilson(5, 5).high == 1.0
    assert clopper_pearson(5, 5).high == 1.0
    assert clopper_pearson(5, 5).low == pytest.approx(0.025 ** (1 / 5))


@pytest.mark.parametrize(("hits", "n"), [(1, 0), (-1, 4), (5, 4)])
def test_impossible_counts_are_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(hits, n)
    with pytest.raises(ValueError, match="not a proportion"):
        clopper_pearson(hits, n)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.93])
def test_coverage(p: float) -> None:
    draws = np.random.default_rng(1).binomial(120, p, size=2000)
    scores = [wilson(int(k), 120) for k in draws]
    exacts = [clopper_pearson(int(k), 120) for k in draws]
    covered = np.mean([i.low <= p <= i.high for i in scores])
    assert 0.93 <= covered <= 0.975
    assert np.mean([i.low <= p <= i.high for i in exacts]) >= 0.945
