"""An estimate with its interval."""

from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A point estimate and a two-sided interval around it."""

    value: float
    """The estimate, in the metric's own unit."""
    low: float
    high: float
    n: int
    """How many samples (or pairs) it rests on."""
    method: str
    """wilson, clopper_pearson, t, clustered, bootstrap_bca, bootstrap_percentile, order_statistic, newcombe, tango,
    prediction_powered or cohen_kappa."""
    confidence: float = 0.95


def normal_quantile(confidence: float) -> float:
    """Return z with P(|Z| <= z) = `confidence` for a standard normal Z (1.95996 for 0.95)."""
    return _NORMAL.inv_cdf(0.5 + confidence / 2)


def normal_cdf(z: float) -> float:
    """Return P(Z <= z) of a standard normal Z."""
    return _NORMAL.cdf(z)


def normal_inverse(probability: float) -> float:
    """Return z with P(Z <= z) = `probability`, which must lie strictly between 0 and 1."""
    return _NORMAL.inv_cdf(probability)
