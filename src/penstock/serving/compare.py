"""Canary against production, from the calls both answered in the same time."""

import math
from dataclasses import dataclass
from datetime import datetime

from penstock.serving.model import Part
from penstock.traces.model import UsageRow

_Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


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
    """Whether the canary fails significantly more often: the intervals of the error rates do not overlap."""


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
    worse = canary.error_low is not None and (production.error_high is not None)
    return CanaryReport(
        deployment=deployment,
        since=since,
        production=production,
        canary=canary,
        latency_ratio=ratio,
        more_errors=worse and (canary.error_low or 0.0) > (production.error_high or 0.0),
    )
