"""Nouns of OpenTelemetry's metrics as they are kept and read."""

import math
from datetime import datetime

import msgspec


class MetricName(msgspec.Struct, frozen=True, kw_only=True):
    """One metric that was reported."""

    name: str
    unit: str
    kind: str
    """histogram, counter or gauge."""
    series: int
    """How many combinations of labels it has."""
    labels: tuple[str, ...]
    """The labels it can be grouped by."""


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What one group reported in one hour; quantiles are interpolated inside the buckets that were sent."""

    time: datetime
    group: str
    count: int
    sum: float
    low: float | None
    high: float | None
    p50: float | None
    p95: float | None
    p99: float | None


Buckets = dict[float, int]
"""Upper bound → count."""


def quantile(buckets: Buckets, share: float, low: float | None, high: float | None) -> float | None:
    """Return the value below which `share` of the counts lie, by linear interpolation; None without counts.

    Nothing is known below the first bound but `low` and above the last but `high`: a bucket that ends nowhere answers
    with where it begins, or with `high`.
    """
    ordered = sorted(buckets.items())
    total = sum(count for _, count in ordered)
    if total <= 0:
        return None
    wanted, seen = share * total, 0
    floor = low if low is not None else min(0.0, ordered[0][0])
    for upper, count in ordered:
        if seen + count >= wanted and count:
            top = high if math.isinf(upper) else upper
            if top is None:
                return floor
            found = floor + (max(top, floor) - floor) * (wanted - seen) / count
            return min(found, high) if high is not None else found
        seen, floor = seen + count, max(floor, upper)
    return high if math.isinf(floor) else floor
