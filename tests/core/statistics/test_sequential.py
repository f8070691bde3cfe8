"""Tests that may be looked at all the time: formulas against quadrature, error rates and waiting by simulation."""

import math

import numpy as np
import pytest

from penstock.core.statistics.sequential import (
    Estimate,
    half_width,
    information_needed,
    interval,
    log_evidence,
    pooled,
)


def test_the_mixture_is_the_integral_that_it_stands_for() -> None:
    value, information, spread = 0.03, 4000.0, 0.02
    effects = np.linspace(-0.2, 0.2, 400_001)
    prior = np.exp(-0.5 * (effects / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
    ratio = np.exp(effects * value * information - 0.5 * effects**2 * information)
    expected = float(np.sum(prior * ratio) * (effects[1] - effects[0]))
    found = log_evidence(Estimate(value=value, information=information), spread)
    assert found == pytest.approx(math.log(expected), rel=1e-6)


@pytest.mark.parametrize("information", [1e-6, 0.5, 100.0, 1e9])
def test_the_interval_holds_exactly_what_is_not_rejected(information: float) -> None:
    estimate, spread, alpha = Estimate(value=0.4, information=information), 0.1, 0.05
    for edge in interval(estimate, spread, alpha):
        assert log_evidence(estimate, spread, null=edge) == pytest.approx(-math.log(alpha))
    assert half_width(0.0, spread, alpha) == math.inf


def test_nothing_known_says_nothing() -> None:
    assert pooled([]) is None
    one, two = Estimate.of(1.0, 0.5), Estimate.of(3.0, 0.25)
    both = pooled([one, two])
    assert both is not None and both.information == 6.0 and both.value == pytest.approx(14 / 6)


def _walks(drift: float, sims: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Means of `sims` runs of normal values after each of `steps` of them, and the information then."""
    values = np.random.default_rng(seed).standard_normal((sims, steps)) + drift
    numbers = np.arange(1, steps + 1)
    return values.cumsum(axis=1) / numbers, numbers.astype(float)


def _evidence(means: np.ndarray, information: np.ndarray, spread: float) -> np.ndarray:  # type: ignore[type-arg]
    scaled = spread**2 * information
    return np.asarray(0.5 * (means**2 * information * scaled / (1 + scaled) - np.log1p(scaled)))


@pytest.mark.parametrize("spread", [0.05, 0.2, 1.0])
def test_looking_after_every_value_is_wrong_no_more_often_than_promised(spread: float) -> None:
    means, information = _walks(0.0, 1500, 2000, seed=1)
    stopped = (_evidence(means, information, spread) >= -math.log(0.05)).any(axis=1).mean()
    assert stopped <= 0.05
    fixed = (np.abs(means) * np.sqrt(information) > 1.96).any(axis=1).mean()
    assert fixed > 0.5, "while a fixed test that is peeked at is wrong more often than not"


def test_a_true_effect_is_found_in_the_expected_time() -> None:
    means, information = _walks(0.2, 800, 1500, seed=2)
    stopped = _evidence(means, information, 0.2) >= -math.log(0.05)
    assert stopped.any(axis=1).all()
    expected = information_needed(0.2, 0.2, 0.05)
    assert float((stopped.argmax(axis=1) + 1).mean()) == pytest.approx(expected, rel=0.1)
