"""pass@k: the chance that at least one of k attempts at a problem succeeds."""

from collections.abc import Sequence

import numpy as np

from penstock.core.statistics.interval import Interval
from penstock.core.statistics.mean import t_interval


def pass_at_k(attempts: int, passed: int, k: int) -> float:
    """Return 1 - C(n - c, k)/C(n, k) for c of n attempts that passed: unbiased, where 1 - (1 - c/n)^k is not.

    Raises ValueError unless 0 <= passed <= attempts and 1 <= k <= attempts. Source: Chen et al., Evaluating
    Large Language Models Trained on Code (2021), arXiv:2107.03374, eq. 1 and figure 3.
    """
    if not 0 <= passed <= attempts:
        raise ValueError(f"{passed} of {attempts} attempts cannot have passed")
    if not 1 <= k <= attempts:
        raise ValueError(f"pass@{k} needs at least {max(k, 1)} attempts and k >= 1, not {attempts} attempts")
    if attempts - passed < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(attempts - passed + 1, attempts + 1)))


def pass_at_k_interval(problems: Sequence[tuple[int, int]], k: int, *, confidence: float = 0.95) -> Interval:
    """Return the mean pass@k over `problems`, each (attempts, passed), with Student's interval over problems.

    Attempts at one problem are no independent samples: the problem is the unit, and `n` counts problems.
    The interval is cut at 0 and 1. Source: as `pass_at_k`; problem as the unit: Miller (2024),
    arXiv:2411.00640.
    """
    found = t_interval([pass_at_k(n, c, k) for n, c in problems], confidence=confidence)
    return Interval(
        value=found.value,
        low=max(0.0, found.low),
        high=min(1.0, found.high),
        n=found.n,
        method="t",
        confidence=confidence,
    )
