"""Spans folded into the sums of every dimension, and those written into the roll-ups."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from penstock.traces import histogram
from penstock.traces.histogram import Counts
from penstock.traces.model import STATUSES
from penstock.traces.store.prepare import CALL_KINDS, ERROR
from penstock.traces.store.sql import placeholder, quoted

HOUR, DAY = 3600, 86400
DIMENSIONS = {
    "": 0,
    "model": 1,
    "provider": 2,
    "route": 3,
    "key": 4,
    "environment": 5,
    "user": 6,
    "requested_model": 7,
    "prompt": 8,
    "status": 9,
}
"""What sums are kept by; "" is all together. Numbers are stored: they never change."""

OLD = frozenset(range(7))
"""The dimensions that the mark `rolled` answers for; `gathered` answers for the younger ones."""

KEYS = ("scope_id", "dimension", "grain", "bucket", "kind", "value")
SUMS = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nano",
    "unpriced",
    "latency_us",
    "cache_hits",
)
CACHE = "cache"
"""The price version of calls that the gateway answered from its cache."""

COLUMNS = (
    "id",
    "trace",
    "scope_id",
    "kind",
    "status",
    "start_ns",
    "end_ns",
    "ttft_ns",
    "model",
    "provider",
    "route",
    "key_id",
    "environment",
    "user",
    "session",
    "requested_model",
    "prompt",
    "price_version",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nano",
    "duplicate_of",
)
"""What is read of a span."""

_USER = DIMENSIONS["user"]


class Sums:
    """What is added up for one group."""

    __slots__ = ("latency", "ttft", "values")

    def __init__(self) -> None:
        self.values = [0] * len(SUMS)
        self.latency: Counts = {}
        self.ttft: Counts = {}

    def add(self, change: Sequence[int], sign: int) -> None:
        """Add (or with -1 take back) numbers in the order of SUMS."""
        self.values = [old + sign * new for old, new in zip(self.values, change, strict=True)]

    def merge(self, other: "Sums", *, times: bool = True) -> None:
        """Add another group's sums, with `times` its histograms too."""
        self.add(other.values, 1)
        if times:
            histogram.merge(self.latency, other.latency)
            histogram.merge(self.ttft, other.ttft)


Groups = dict[tuple[int, ...] | tuple[Any, ...], Sums]


def change_of(row: Any) -> tuple[int, ...]:
    """Return what a span (a row of COLUMNS) adds to SUMS."""
    cost = row.cost_nano
    return (
        1,
        1 if row.status == ERROR else 0,
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.cache_write_tokens,
        row.reasoning_tokens,
        cost or 0,
        1 if cost is None else 0,
        (row.end_ns - row.start_ns) // 1000,
        1 if row.price_version == CACHE else 0,
    )


def _leaves(rows: Iterable[Any], sign: int) -> dict[tuple[Any, ...], Sums]:
    """Fold spans that are alike in everything first: what follows is then paid per likeness, not per span."""
    leaves: dict[tuple[Any, ...], Sums] = {}
    for row in rows:
        if row.duplicate_of is not None:
            continue  # another span stands for this call
        second = row.start_ns // 1_000_000_000
        key = (
            row.scope_id,
            second - second % HOUR,
            row.kind,
            row.model,
            row.provider,
            row.route,
            row.key_id,
            row.environment,
            row.user,
            row.requested_model,
            row.prompt,
            row.status,
        )
        leaf = leaves.get(key)
        if leaf is None:
            leaf = leaves[key] = Sums()
        leaf.add(change_of(row), sign)
        histogram.merge(leaf.latency, {histogram.bucket(row.end_ns - row.start_ns): 1}, sign)
        if row.ttft_ns is not None:
            histogram.merge(leaf.ttft, {histogram.bucket(row.ttft_ns): 1}, sign)
    return leaves


def fold(rows: Iterable[Any], sign: int, dimensions: frozenset[int]) -> Groups:
    """Return the sums of spans (rows of COLUMNS) per group of the `dimensions`, by hour and by day."""
    groups: Groups = {}
    for key, leaf in _leaves(rows, sign).items():
        scope_id, hour, kind = key[:3]
        values = ("", *key[3:-1], STATUSES[key[-1]])
        for dimension in dimensions:
            value = values[dimension]
            if dimension == _USER and (not value or kind not in CALL_KINDS):
                continue  # users are many: only their model calls are summed
            group = (scope_id, dimension, HOUR, hour, kind, value or "")
            # Users are many: their sums go without histograms.
            groups.setdefault(group, Sums()).merge(leaf, times=dimension != _USER)
    for (scope_id, dimension, _, hour, kind, value), sums in list(groups.items()):
        groups.setdefault((scope_id, dimension, DAY, hour - hour % DAY, kind, value), Sums()).merge(sums)
    return groups


def only_hits(groups: Groups, sign: int) -> Groups:
    """Return `groups` with nothing but their cache hits, times `sign`."""
    found: Groups = {}
    for key, sums in groups.items():
        if sums.values[-1]:
            found[key] = Sums()
            found[key].values[-1] = sign * sums.values[-1]
    return found


def apply(conn: Connection, groups: Groups) -> None:
    """Add `groups` to the roll-ups, of every scope they name."""
    mark = placeholder(conn)
    where = " AND ".join(f'"{name}" = {mark}' for name in KEYS)
    ordered = sorted(groups.items(), key=lambda item: item[0])
    for key, sums in ordered:
        if key[1] == _USER:
            continue
        old = conn.exec_driver_sql(f"SELECT latency, ttft FROM traces_sums WHERE {where}", key).first()
        if old is not None:
            for mine, theirs in ((sums.latency, old[0]), (sums.ttft, old[1])):
                histogram.merge(mine, histogram.decode(bytes(theirs)))
    columns = (*KEYS, *SUMS, "latency", "ttft")
    sets = ", ".join(f"{name} = traces_sums.{name} + excluded.{name}" for name in SUMS)
    statement = (
        f"INSERT INTO traces_sums ({quoted(columns)}) VALUES ({', '.join([mark] * len(columns))}) "
        f"ON CONFLICT ({quoted(KEYS)}) DO UPDATE SET {sets}, latency = excluded.latency, ttft = excluded.ttft"
    )
    rows = [
        (*key, *sums.values, histogram.encode(sums.latency), histogram.encode(sums.ttft))
        for key, sums in ordered
    ]
    if rows:
        conn.exec_driver_sql(statement, rows)
