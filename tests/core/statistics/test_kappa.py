"""Cohen's and Fleiss' kappa: published tables, identities, and coverage."""

import numpy as np
import pytest

from penstock.core.statistics import cohen_kappa, fleiss_kappa

FOURTEEN_RATERS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
"""Fourteen raters, ten items, five categories: the worked example of Wikipedia's article on Fleiss' kappa."""


def labels_of(cells: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return both raters' labels of a table that counts (first, second)."""
    flat, k = np.ravel(cells), len(cells)
    return np.repeat(np.repeat(np.arange(k), k), flat), np.repeat(np.tile(np.arange(k), k), flat)


def test_published_value_and_standard_error() -> None:
    """Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions (3rd ed.), Table 18.1: 0.676, 0.087."""
    found = cohen_kappa(*labels_of([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))
    assert found.value == pytest.approx(0.676, abs=5e-4)
    assert (found.high - found.low) / (2 * 1.95996) == pytest.approx(0.087, abs=1e-3)
    assert found.n == 100


def test_published_value_of_fleiss_cohen_and_everitt() -> None:
    """Psychological Bulletin 72 (1969), their illustration with 200 subjects: 0.429."""
    cells = [[106, 10, 4], [22, 28, 10], [2, 12, 6]]
    assert cohen_kappa(*labels_of(cells)).value == pytest.approx(0.429, abs=5e-4)


def test_quadratic_weights_are_the_concordance_of_scores() -> None:
    """Fleiss and Cohen (1973): 2·cov/(var + var + (difference of means)²)."""
    rng = np.random.default_rng(0)
    one = rng.integers(0, 5, size=300)
    two = np.clip(one + rng.integers(-1, 2, size=300), 0, 4)
    shared = 2 * np.cov(one, two, ddof=0)[0, 1]
    expected = shared / (one.var() + two.var() + (one.mean() - two.mean()) ** 2)
    assert cohen_kappa(one, two, weights="quadratic").value == pytest.approx(expected)
    assert cohen_kappa(one, two).value < cohen_kappa(one, two, weights="linear").value < expected


def test_any_weights_are_the_same_for_two_labels() -> None:
    one, two = list("aabbabba"), list("aabbaaba")
    plain = cohen_kappa(one, two)
    for weights in ("linear", "quadratic"):
        assert cohen_kappa(one, two, weights=weights).value == pytest.approx(plain.value)


def test_perfect_and_opposite_raters() -> None:
    same = cohen_kappa(["x", "y", "x"], ["x", "y", "x"])
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)
    assert cohen_kappa(["x", "y"], ["y", "x"]).value == -1.0


def test_undefined_or_unequal_input_is_refused() -> None:
    with pytest.raises(ValueError, match="only one label"):
        cohen_kappa(["x", "x"], ["x", "x"])
    with pytest.raises(ValueError, match="same items"):
        cohen_kappa(["x"], ["x", "y"])
    with pytest.raises(ValueError, match="weights"):
        cohen_kappa(["x", "y"], ["x", "y"], weights="cubic")


def test_coverage_of_cohens_interval() -> None:
    """Both say the truth (3:7) with probability 0.8, else either label at random: kappa is 0.8² of agreement."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(1000):
        truth = rng.random(150) < 0.3
        sides = [np.where(rng.random(150) < 0.8, truth, rng.random(150) < 0.3) for _ in range(2)]
        found = cohen_kappa(*sides)
        covered += found.low <= 0.64 <= found.high
    assert 0.925 <= covered / 1000 <= 0.97


def test_raters_who_guess_agree_by_chance_only() -> None:
    rng, wrong = np.random.default_rng(6), 0
    for _ in range(1000):
        found = cohen_kappa(rng.random(120) < 0.3, rng.random(120) < 0.6)
        wrong += not found.low <= 0 <= found.high
    assert 0.03 <= wrong / 1000 <= 0.075


def test_published_value_for_many_raters() -> None:
    found = fleiss_kappa(FOURTEEN_RATERS)
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.low < found.value < found.high
    assert found == fleiss_kappa(FOURTEEN_RATERS)


def test_what_fleiss_kappa_refuses() -> None:
    with pytest.raises(ValueError, match="same number of raters"):
        fleiss_kappa([[2, 0], [1, 2]])
    with pytest.raises(ValueError, match="same number of raters"):
        fleiss_kappa([[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="only one label"):
        fleiss_kappa([[3, 0], [3, 0]])
    with pytest.raises(ValueError, match="none negative"):
        fleiss_kappa([[3, -1]])
    assert fleiss_kappa([[3, 0], [0, 3]], resamples=50).value == 1.0


def test_coverage_of_fleiss_interval() -> None:
    rng, covered = np.random.default_rng(7), 0
    for seed in range(200):
        truth = rng.random(100) < 0.4
        said = np.where(rng.random((100, 4)) < 0.8, truth[:, None], rng.random((100, 4)) < 0.4).sum(axis=1)
        found = fleiss_kappa(np.column_stack([said, 4 - said]), resamples=300, seed=seed)
        covered += found.low <= 0.64 <= found.high
    assert 0.89 <= covered / 200 <= 0.99
