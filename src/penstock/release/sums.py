"""The few sums per arm and metric that every estimate is made of. Pure; each call is added once and then forgotten.

Calls of one person resemble each other, so what is independent is the person (or trace, or a call that stands alone):
the unit. A unit's n calls with values of sum s enter as (1, n, s, s², s·n, n², s > 0), and a unit that calls again
replaces its old entry. The mean s/n then has the linearised (cluster-robust) variance
(sum s² - 2r·sum s·n + r²·sum n²) / (sum n)², r = sum s / sum n: Deng, Knoblich and Lu, Applying the Delta Method in
Metric Analytics, KDD 2018, section 3.
"""

from collections.abc import Iterable, Mapping

Sums = tuple[float, ...]
UNITS, CALLS, SUM, SQUARES, CROSS, CALLS_SQUARED, HITS = range(7)
NOTHING: Sums = (0.0,) * 7
Unit = tuple[float, float]
"""(calls, sum of their values) of one unit."""


def entry(unit: Unit) -> Sums:
    """Return what a unit adds."""
    calls, total = unit
    if not calls:
        return NOTHING
    return (1.0, calls, total, total * total, total * calls, calls * calls, float(total > 0))


def added(sums: Sums, unit: Unit, old: Unit = (0.0, 0.0), *, hits: bool = True) -> Sums:
    """Return `sums` with a unit in the place of what it was before; without `hits` it counts as none."""
    found = tuple(a + b - c for a, b, c in zip(sums, entry(unit), entry(old), strict=True))
    return found if hits else (*found[:HITS], sums[HITS])


def together(parts: Iterable[Sums]) -> Sums:
    """Return the sums of several phases."""
    return tuple(map(sum, zip(NOTHING, *parts, strict=True)))


def residual(sums: Sums, mean: float) -> float:
    """Return the sum over units of (s - mean·n)²."""
    return max(0.0, sums[SQUARES] - 2 * mean * sums[CROSS] + mean * mean * sums[CALLS_SQUARED])


def of(table: Mapping[str, Mapping[str, Sums]], arm: str, metric: str) -> Sums:
    """Return the sums of one arm and metric."""
    return tuple(table.get(arm, {}).get(metric, NOTHING))
