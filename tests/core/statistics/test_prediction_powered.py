"""Prediction-powered inference: the formula by hand, its limits, and coverage with a biased judge."""

import math

import numpy as np
import pytest

from penstock.core.statistics import prediction_powered

LABELS = [1.0, 0.0, 1.0, 1.0]
SAID = [1.0, 0.0, 0.0, 1.0]
MORE = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]


def test_the_original_method_by_hand() -> None:
    """Angelopoulos et al. (2023), Algorithm 1 (mean): 1/2 + 1/4; variances (2/7)/8 and (1/4)/4."""
    found = prediction_powered(LABELS, SAID, MORE, weight=1.0)
    half = 1.959964 * math.sqrt((2 / 7) / 8 + (1 / 4) / 4)
    assert found.value == pytest.approx(0.75)
    assert (found.low, found.high) == (pytest.approx(0.75 - half), pytest.approx(0.75 + half))
    assert found.n == 4


def test_the_tuned_weight_by_hand() -> None:
    """cov = 1/6, variance of all twelve predictions 3/11, n/N = 1/2: weight 11/27."""
    tuned = prediction_powered(LABELS, SAID, MORE)
    assert tuned == prediction_powered(LABELS, SAID, MORE, weight=11 / 27)
    assert tuned.value == pytest.approx(0.75)


def test_weight_zero_is_the_interval_of_the_labels_alone() -> None:
    found = prediction_powered(LABELS, SAID, MORE, weight=0.0)
    half = 1.959964 * math.sqrt(0.25 / 4)
    assert (found.value, found.low) == (0.75, pytest.approx(0.75 - half))


def test_a_judge_that_knows_nothing_is_ignored() -> None:
    constant = prediction_powered(LABELS, [1.0] * 4, [1.0] * 8)
    opposed = prediction_powered(LABELS, [0.0, 1.0, 0.0, 0.0], MORE)
    alone = prediction_powered(LABELS, SAID, MORE, weight=0.0)
    assert constant == opposed == alone


def test_a_perfect_judge_makes_further_samples_as_good_as_labels() -> None:
    rng = np.random.default_rng(0)
    truth, more = rng.normal(size=200), rng.normal(size=1800)
    found = prediction_powered(truth, truth, more)
    pooled = np.concatenate([truth, more])
    # The weight is estimated, so the two means differ by a fraction of their standard error of 0.022.
    assert found.value == pytest.approx(pooled.mean(), abs=5e-3)
    assert found.high - found.low == pytest.approx(2 * 1.96 * pooled.std() / math.sqrt(2000), rel=0.03)


def test_unequal_or_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="same samples"):
        prediction_powered([1.0, 0.0], [1.0], MORE)
    with pytest.raises(ValueError, match="at least two"):
        prediction_powered([1.0], [1.0], MORE)


def test_coverage_with_a_biased_judge_and_shorter_intervals() -> None:
    """70 % are right; the judge passes 95 % of the right and 30 % of the wrong ones: alone it says 75.5 %."""
    rng = np.random.default_rng(1)
    covered, alone, judge, tuned_width, plain_width = 0, 0, 0, 0.0, 0.0
    for _ in range(1000):
        truth = rng.random(1100) < 0.7
        said = rng.random(1100) < np.where(truth, 0.95, 0.3)
        tuned = prediction_powered(truth[:100], said[:100], said[100:])
        plain = prediction_powered(truth[:100], said[:100], said[100:], weight=0.0)
        covered += tuned.low <= 0.7 <= tuned.high
        alone += plain.low <= 0.7 <= plain.high
        judge += abs(said.mean() - 0.7) <= 1.96 * said.std() / math.sqrt(1100)
        tuned_width += tuned.high - tuned.low
        plain_width += plain.high - plain.low
    assert 0.92 <= covered / 1000 <= 0.97
    assert 0.92 <= alone / 1000 <= 0.97
    assert judge / 1000 < 0.1
    assert tuned_width < 0.85 * plain_width
