"""Latency histograms that can be added, subtracted and stored: logarithmic buckets of counts.

A value v ≥ 1 falls into bucket floor(ln v / ln 1.04), so a quantile is off by at most 2 % (the idea of DDSketch,
Masson, Rim and Lee, 2019, https://arxiv.org/abs/1908.10693). Counts are whole numbers: merging and taking back
are exact and do not depend on order.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec

GAMMA = 1.04
_SCALE = 1 / math.log(GAMMA)
_decoder = msgspec.msgpack.Decoder(dict[int, int])

Counts = dict[int, int]
"""Bucket → how many values fell into it."""


def bucket(value_ns: int) -> int:
    """Return the bucket of a duration in nanoseconds; everything below 1 shares bucket 0."""
    return int(math.log(value_ns) * _SCALE) if value_ns > 1 else 0


def middle(index: int) -> float:
    """Return the duration in nanoseconds that stands for bucket `index` (its harmonic middle)."""
    return float(GAMMA**index * 2 * GAMMA / (1 + GAMMA))


def merge(into: Counts, other: Mapping[int, int], sign: int = 1) -> None:
    """Add `other` to `into`, or with `sign=-1` take it back; buckets that reach 0 vanish."""
    for index, count in other.items():
        left = into.get(index, 0) + sign * count
        if left:
            into[index] = left
        else:
            into.pop(index, None)


def count(into: Counts, value_ns: int, sign: int = 1) -> None:
    """Count one duration in nanoseconds, or with `sign=-1` take it back."""
    index = bucket(value_ns)
    left = into.get(index, 0) + sign
    if left:
        into[index] = left
    else:
        del into[index]


def quantiles(counts: Mapping[int, int], wanted: Iterable[float]) -> list[float | None]:
    """Return the duration in nanoseconds below which each fraction of `wanted` lies; None without values."""
    total = sum(counts.values())
    if total <= 0:
        return [None for _ in wanted]
    found: list[float | None] = []
    ordered = sorted(counts.items())
    for fraction in wanted:
        rank, seen = fraction * (total - 1), 0
        for index, count in ordered:
            seen += count
            if seen > rank:
                found.append(middle(index))
                break
    return found


def encode(counts: Counts) -> bytes:
    """Return the histogram as MessagePack, a few bytes per bucket."""
    return msgspec.msgpack.encode(dict(sorted(counts.items())))


def decode(data: bytes) -> Counts:
    """Return the histogram made by `encode`."""
    return _decoder.decode(data)
