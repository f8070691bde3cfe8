"""Canary against production, from the calls both answered in the same time."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from penstock.core.deferred import deferred
from penstock.serving.model import Part
from penstock.traces.model import UsageRow

if TYPE_CHECKING:
    from penstock.core.statistics import sequential
else:
    sequential = deferred("penstock.core.statistics.sequential")

_Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""
_ALPHA = 0.05
_NOTABLE = 0.1
"""Difference of error rates at which the test is sharpest."""
_LEAST_CALLS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one version did since the canary began."""

    part: Part
    endpoint: str
    """`name@number`."""
    model: str
    calls: int
    errors: int
    error_rate: float | None
    """Share of calls that failed; None without calls."""
    error_low: float | None
    error_high: float | None
    """95 % interval of the error rate (Wilson score)."""
    mean_latency_ms: float | None
    input_tokens_per_call: float | None
    output_tokens_per_call: float | None
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """Both sides, and what may be said about the difference."""

    deployment: str
    since: datetime
    production: Side
    canary: Side
    latency_ratio: float | None
    """Canary's mean latency over production's; above 1 is slower."""
    more_errors: bool
    """Whether the canary is shown to fail more often, by a test that may be looked at as often as one likes."""


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score (E. B. Wilson 1927, JASA 22: 209-212); `total` must be above 0."""
    share, z2 = hits / total, _Z * _Z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def side(part: Part, endpoint: str, model: str, row: UsageRow | None) -> Side:
    """Summarise the usage of one version; `row` is None when it got no calls."""
    calls = row.calls if row else 0
    if row is None or not calls:
        low = high = rate = latency = tokens_in = tokens_out = None
    else:
        rate, (low, high) = row.errors / calls, wilson(row.errors, calls)
        latency, tokens_in, tokens_out = (
            row.mean_latency_ms,
            row.input_tokens / calls,
            row.output_tokens / calls,
        )
    return Side(
        part=part,
        endpoint=endpoint,
        model=model,
        calls=calls,
        errors=row.errors if row else 0,
        error_rate=rate,
        error_low=low,
        error_high=high,
        mean_latency_ms=latency,
        input_tokens_per_call=tokens_in,
        output_tokens_per_call=tokens_out,
        cost_usd=row.cost_usd if row else 0.0,
    )


def report(deployment: str, since: datetime, production: Side, canary: Side) -> CanaryReport:
    """Put both sides together."""
    ratio = None
    if production.mean_latency_ms and canary.mean_latency_ms is not None:
        ratio = canary.mean_latency_ms / production.mean_latency_ms
    return CanaryReport(
        deployment=deployment,
        since=since,
        production=production,
        canary=canary,
        latency_ratio=ratio,
        more_errors=_fails_more(production, canary),
    )


def _fails_more(production: Side, canary: Side) -> bool:
    """Return whether the confidence sequence of the difference of the error rates lies above 0."""
    if min(production.calls, canary.calls) < _LEAST_CALLS:
        return False
    found = sequential.difference_of_shares(canary.errors, canary.calls, production.errors, production.calls)
    low, _ = sequential.interval(found, _NOTABLE, _ALPHA)
    return low > 0
