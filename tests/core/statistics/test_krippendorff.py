"""Krippendorff's alpha: his own example with missing values, brute force, and coverage."""

import itertools

import numpy as np
import pytest

from penstock.core.statistics import krippendorff_alpha
from penstock.core.statistics.krippendorff import MOST_ORDINAL_VALUES

NAN = float("nan")
RATINGS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]
"""Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units."""

LEVELS = ("nominal", "ordinal", "interval")


def by_definition(ratings: np.ndarray, level: str) -> float:
    """Return alpha by summing over every pair of ratings, as the definition says."""
    units = [unit[~np.isnan(unit)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    pool = np.concatenate(units)

    def distance(a: float, b: float) -> float:
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = np.count_nonzero((pool >= low) & (pool <= high))
        return (between - (np.count_nonzero(pool == a) + np.count_nonzero(pool == b)) / 2) ** 2

    within = [
        sum(distance(a, b) for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units
    ]
    among = sum(distance(a, b) for a, b in itertools.permutations(pool, 2)) / (len(pool) - 1)
    return 1 - sum(within) / among


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_published_values(level: str, published: float) -> None:
    found = krippendorff_alpha(RATINGS, level=level, resamples=200)
    assert found.value == pytest.approx(published, abs=5e-4)
    # The last unit has a single rating and does not count.
    assert found.n == 11
    assert found.low < found.value <= found.high <= 1


@pytest.mark.parametrize("level", LEVELS)
def test_the_definition_summed_over_all_pairs(level: str) -> None:
    rng = np.random.default_rng(1)
    ratings = np.clip(rng.normal(3, 1, size=25) + rng.normal(0, 0.7, size=(3, 25)), 1, 6).round()
    ratings[rng.random(ratings.shape) < 0.2] = NAN
    found = krippendorff_alpha(ratings, level=level, resamples=50)
    assert found.value == pytest.approx(by_definition(ratings, level))
    assert found == krippendorff_alpha(ratings, level=level, resamples=50)


def test_what_each_level_ignores() -> None:
    """Nominal and ordinal values may be renamed in order; interval ones shifted and scaled."""
    ratings = np.array(RATINGS)
    for level in ("nominal", "ordinal"):
        renamed = krippendorff_alpha(np.exp(ratings), level=level, resamples=20)
        assert renamed == krippendorff_alpha(ratings, level=level, resamples=20)
    moved = krippendorff_alpha(1e6 + 0.25 * ratings, level="interval", resamples=20)
    assert moved.value == pytest.approx(krippendorff_alpha(ratings, level="interval", resamples=20).value)


def test_extremes() -> None:
    assert krippendorff_alpha([[1, 2, 3], [1, 2, 3]], resamples=20).value == 1.0
    assert krippendorff_alpha([[1, 2], [2, 1]], resamples=20).value < 0


@pytest.mark.parametrize(
    ("ratings", "level", "message"),
    [
        ([[1, NAN], [NAN, 2]], "nominal", "two ratings"),
        ([[1, 1], [1, 1]], "nominal", "all ratings are the same"),
        ([[1, 2], [1, 2]], "ratio", "level"),
        ([1, 2], "nominal", "shape"),
        ([range(MOST_ORDINAL_VALUES + 1)] * 2, "ordinal", "at most"),
    ],
)
def test_undefined_input_is_refused(ratings: list[list[float]], level: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        krippendorff_alpha(ratings, level=level)


def test_coverage_with_missing_values() -> None:
    """A unit's own part has variance 2, a rater's error 1: alpha of interval ratings tends to 2/3."""
    rng, covered = np.random.default_rng(2), 0
    for seed in range(300):
        ratings = rng.normal(0, 2**0.5, size=80) + rng.normal(size=(4, 80))
        ratings[rng.random(ratings.shape) < 0.25] = NAN
        found = krippendorff_alpha(ratings, level="interval", resamples=300, seed=seed)
        covered += found.low <= 2 / 3 <= found.high
    assert 0.90 <= covered / 300 <= 0.985


def test_raters_who_guess_agree_by_chance_only() -> None:
    rng, wrong = np.random.default_rng(3), 0
    for seed in range(300):
        ratings = rng.integers(0, 3, size=(3, 80)).astype(float)
        found = krippendorff_alpha(ratings, resamples=300, seed=seed)
        wrong += not found.low <= 0 <= found.high
    assert 0.015 <= wrong / 300 <= 0.10
