"""Bradley-Terry and Davidson: Agresti's baseball, Davidson's puddings, and coverage."""

import numpy as np
import pytest

from penstock.core.statistics import bootstrap_ranks, bradley_terry

BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
"""Agresti, Categorical Data Analysis (2nd ed., 2002), Table 10.10: Milwaukee, Detroit, Toronto, New York,
Boston, Cleveland, Baltimore in 1987; row beat column."""

PUDDINGS = [
    (1, 2, 19, 22, 16),
    (1, 3, 16, 19, 12),
    (2, 3, 19, 19, 10),
    (1, 4, 18, 23, 13),
    (2, 4, 23, 19, 9),
    (3, 4, 19, 20, 15),
    (1, 5, 13, 19, 18),
    (2, 5, 16, 20, 12),
    (3, 5, 16, 15, 17),
    (4, 5, 17, 14, 16),
    (1, 6, 18, 21, 12),
    (2, 6, 22, 20, 12),
    (3, 6, 13, 18, 10),
    (4, 6, 14, 19, 18),
    (5, 6, 11, 21, 12),
]
"""Davidson (1970), Example 2: brands i and j, preferences for i, for j, and for neither."""


def played(strengths: np.ndarray, tie: float, games: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return wins and ties of `games` comparisons of every pair."""
    k = len(strengths)
    wins, ties, p = np.zeros((k, k)), np.zeros((k, k)), np.exp(strengths)
    for i in range(k):
        for j in range(i + 1, k):
            weight = np.array([p[i], p[j], tie * np.sqrt(p[i] * p[j])])
            wins[i, j], wins[j, i], ties[i, j] = rng.multinomial(games, weight / weight.sum())
    return wins, ties + ties.T


def test_published_strengths_of_baseball_teams() -> None:
    """The maximum-likelihood estimates with Baltimore as 0, as R's BradleyTerry2 prints them."""
    found = np.array(bradley_terry(BASEBALL).log_strengths)
    published = [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0]
    assert found - found[-1] == pytest.approx(published, abs=5e-5)
    assert found.sum() == pytest.approx(0, abs=1e-9)


def test_published_strengths_of_puddings() -> None:
    """Davidson's Example 2, as R's PlackettLuce prints it: worths that add up to 1, and the tie parameter."""
    wins, ties = np.zeros((6, 6)), np.zeros((6, 6))
    for i, j, first, second, neither in PUDDINGS:
        wins[i - 1, j - 1], wins[j - 1, i - 1] = first, second
        ties[i - 1, j - 1] = ties[j - 1, i - 1] = neither
    found = bradley_terry(wins, ties)
    worths = np.exp(found.log_strengths) / np.exp(found.log_strengths).sum()
    assert worths == pytest.approx([0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024], abs=1e-4)
    assert found.tie == pytest.approx(0.7468, abs=1e-4)


def test_two_items_are_fitted_exactly() -> None:
    found = bradley_terry([[0, 3], [1, 0]], [[0, 2], [2, 0]])
    assert found.win_probability(0, 1) == pytest.approx(3 / 6)
    assert found.win_probability(1, 0) == pytest.approx(1 / 6)
    assert found.tie == pytest.approx(2 / 3**0.5)


@pytest.mark.parametrize(
    ("wins", "ties"),
    [
        ([[0, 3], [0, 0]], None),
        ([[0, 3], [0, 0]], [[0, 2], [2, 0]]),
        ([[0, 0], [0, 0]], [[0, 2], [2, 0]]),
        ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], None),
    ],
    ids=["undefeated", "undefeated but tied", "only ties", "two groups that never met"],
)
def test_without_a_finite_maximum_a_prior_is_asked_for(
    wins: list[list[float]], ties: list[list[float]] | None
) -> None:
    with pytest.raises(ValueError, match="no finite strengths"):
        bradley_terry(wins, ties)
    found = bradley_terry(wins, ties, prior=0.5)
    assert np.all(np.isfinite(found.log_strengths))
    assert found.log_strengths[0] >= found.log_strengths[1] - 1e-9


def test_ties_alone_connect_when_wins_go_round() -> None:
    """1 and 2 beat each other, 3 only tied with both: it lies between them."""
    found = bradley_terry([[0, 4, 0], [2, 0, 0], [0, 0, 0]], [[0, 0, 3], [0, 0, 3], [3, 3, 0]])
    best, worst, between = found.log_strengths
    assert best > between > worst
    assert between == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("wins", "ties", "message"),
    [
        ([[0, 1, 2]], None, "square"),
        ([[0, -1], [1, 0]], None, "not negative"),
        ([[1, 1], [1, 0]], None, "itself"),
        ([[0, 1], [1, 0]], [[0, 1], [2, 0]], "equals"),
    ],
)
def test_impossible_tables_are_refused(
    wins: list[list[float]], ties: list[list[float]] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bradley_terry(wins, ties)


def test_ranks_of_baseball_teams() -> None:
    ranked = bootstrap_ranks(BASEBALL, resamples=500, seed=1)
    assert [team.item for team in ranked] == [0, 1, 2, 3, 4, 5, 6]
    assert [team.rank for team in ranked] == [1, 2, 3, 4, 5, 6, 7]
    assert all(team.rank_low <= team.rank <= team.rank_high for team in ranked)
    # Seventy games do not tell the top teams apart, but Baltimore from all of them.
    assert ranked[0].rank_high >= 3
    assert ranked[-1].rank_low >= 6
    assert ranked[0].log_strength.n == 78
    assert ranked == bootstrap_ranks(BASEBALL, resamples=500, seed=1)


def test_an_undefeated_item_keeps_a_bounded_interval() -> None:
    best = bootstrap_ranks([[0, 9, 9], [0, 0, 5], [0, 4, 0]], resamples=200)[0]
    assert (best.item, best.rank_low, best.rank_high) == (0, 1, 1)
    assert np.isfinite(best.log_strength.high)
    with pytest.raises(ValueError, match="prior"):
        bootstrap_ranks(BASEBALL, prior=0.0)


def test_coverage_of_strengths_and_ranks() -> None:
    rng, truth = np.random.default_rng(3), np.array([0.9, 0.3, 0.0, -0.4, -0.8])
    strengths, ranks = 0, 0
    for seed in range(120):
        wins, ties = played(truth, 0.6, 40, rng)
        for each in bootstrap_ranks(wins, ties, resamples=200, seed=seed):
            strengths += each.log_strength.low <= truth[each.item] <= each.log_strength.high
            ranks += each.rank_low <= each.item + 1 <= each.rank_high
    assert 0.91 <= strengths / 600 <= 0.98
    assert ranks / 600 >= 0.93


def test_equal_items_are_seldom_told_apart() -> None:
    """No item of four equal ones is called surely first or surely last more often than it should be."""
    rng, wrong = np.random.default_rng(4), 0
    for seed in range(150):
        wins, ties = played(np.zeros(4), 0.5, 40, rng)
        ranked = bootstrap_ranks(wins, ties, resamples=200, seed=seed)
        wrong += sum(each.log_strength.low > 0 or each.log_strength.high < 0 for each in ranked)
    assert 0.02 <= wrong / 600 <= 0.09
