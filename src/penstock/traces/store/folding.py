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
    "service": 10,
    "agent": 11,
}
"""What sums are kept by; "" is all together. Numbers are stored: they never change."""

OLD = frozenset({*range(7), 10, 11})
"""The dimensions that the mark `rolled` answers for; `gathered` answers for the others, which came with it."""

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
    "service",
    "agent",
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

    def take(self, changes: Sequence[Sequence[int]], sign: int) -> None:
        """Hold the sums of `changes`, numbers in the order of SUMS each (or with -1 what they take back)."""
        if len(changes) > 1:
            self.values = [sign * sum(column) for column in zip(*changes, strict=True)]
        else:
            self.values = [sign * number for number in changes[0]]


def _together(parts: Sequence[Sums], *, times: bool) -> Sums:
    """Return the sums of `parts`, with `times` their histograms too."""
    found = Sums()
    if len(parts) == 1:
        found.values = list(parts[0].values)
    else:
        found.values = [sum(column) for column in zip(*(part.values for part in parts), strict=True)]
    if times:
        found.latency, found.ttft = dict(parts[0].latency), dict(parts[0].ttft)
        for part in parts[1:]:
            histogram.merge(found.latency, part.latency)
            histogram.merge(found.ttft, part.ttft)
    return found


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


Key = tuple[Any, ...]


def _leaves(rows: Iterable[Any], sign: int) -> tuple[dict[Key, Sums], dict[Key, Sums]]:
    """Fold spans that are alike first, so that what follows is paid per likeness, not per span.

    Returns those alike in everything but their user, and the model calls per user: users are many.
    """
    leaves: dict[Key, Sums] = {}
    changes: dict[Key, list[tuple[int, ...]]] = {}
    users: dict[Key, list[tuple[int, ...]]] = {}
    for row in rows:
        if row.duplicate_of is not None:
            continue  # another span stands for this call
        second = row.start_ns // 1_000_000_000
        scope_id, hour, kind = row.scope_id, second - second % HOUR, row.kind
        key = (
            scope_id,
            hour,
            kind,
            row.model,
            row.provider,
            row.route,
            row.key_id,
            row.environment,
            row.requested_model,
            row.prompt,
            row.status,
            row.service,
            row.agent,
        )
        leaf = leaves.get(key)
        if leaf is None:
            leaf, changes[key] = leaves.setdefault(key, Sums()), []
        change = change_of(row)
        changes[key].append(change)
        histogram.count(leaf.latency, row.end_ns - row.start_ns, sign)
        if row.ttft_ns is not None:
            histogram.count(leaf.ttft, row.ttft_ns, sign)
        if kind in CALL_KINDS and (user := row.user):
            users.setdefault((scope_id, _USER, HOUR, hour, kind, user), []).append(change)
    for key, leaf in leaves.items():
        leaf.take(changes[key], sign)
    return leaves, {key: _summed(alike, sign) for key, alike in users.items()}


def _summed(changes: Sequence[Sequence[int]], sign: int) -> Sums:
    found = Sums()
    found.take(changes, sign)
    return found


def fold(rows: Iterable[Any], sign: int, dimensions: frozenset[int]) -> Groups:
    """Return the sums of spans (rows of COLUMNS) per group of the `dimensions`, by hour and by day."""
    leaves, users = _leaves(rows, sign)
    parts: dict[Key, list[Sums]] = {}
    wanted = sorted(dimensions - {_USER})
    for key, leaf in leaves.items():
        scope_id, hour, kind = key[:3]
        # In the order of DIMENSIONS, which has the user, who is not here, between environment and requested model.
        values = ("", *key[3:8], None, *key[8:10], STATUSES[key[10]], *key[11:13])
        for dimension in wanted:
            group = (scope_id, dimension, HOUR, hour, kind, values[dimension] or "")
            parts.setdefault(group, []).append(leaf)
    groups: Groups = {group: _together(alike, times=True) for group, alike in parts.items()}
    if _USER in dimensions:
        groups |= users
    days: dict[Key, list[Sums]] = {}
    for (scope_id, dimension, _, hour, kind, value), sums in groups.items():
        days.setdefault((scope_id, dimension, DAY, hour - hour % DAY, kind, value), []).append(sums)
    # Users go without histograms.
    return groups | {day: _together(hours, times=day[1] != _USER) for day, hours in days.items()}


def only_hits(groups: Groups, sign: int) -> Groups:
    """Return `groups` with nothing but their cache hits, times `sign`."""
    found: Groups = {}
    for key, sums in groups.items():
        if sums.values[-1]:
            found[key] = Sums()
            found[key].values[-1] = sign * sums.values[-1]
    return found


def _stored_times(conn: Connection, keys: Sequence[Key]) -> dict[Key, tuple[bytes, bytes]]:
    """Return the histograms (latency, time to first token) of those of the groups, of every scope, that are stored."""
    mark = placeholder(conn)
    found: dict[Key, tuple[bytes, bytes]] = {}
    for start in range(0, len(keys), _LOOKED_UP):
        some = keys[start : start + _LOOKED_UP]
        one = f"({', '.join([mark] * len(KEYS))})"
        # Joined in this order SQLite looks each of them up; a list of them in IN has it read the whole table.
        query = (
            f"WITH w ({quoted(KEYS)}) AS (VALUES {', '.join([one] * len(some))}) SELECT "
            f"{', '.join(f's.{name}' for name in KEYS)}, s.latency, s.ttft FROM w CROSS JOIN traces_sums s "
            f"WHERE {' AND '.join(f's.{name} = w.{name}' for name in KEYS)}"
        )
        rows = conn.exec_driver_sql(query, tuple(part for key in some for part in key))
        found.update((tuple(row[: len(KEYS)]), (bytes(row[-2]), bytes(row[-1]))) for row in rows)
    return found


_LOOKED_UP = 100
"""Groups per statement."""


def apply(conn: Connection, groups: Groups) -> None:
    """Add `groups` to the roll-ups, of every scope they name."""
    if not groups:
        return
    mark = placeholder(conn)
    ordered = sorted(groups.items(), key=lambda item: item[0])
    stored = _stored_times(conn, [key for key, _ in ordered if key[1] != _USER])
    for key, (latency, ttft) in stored.items():
        histogram.merge(groups[key].latency, histogram.decode(latency))
        histogram.merge(groups[key].ttft, histogram.decode(ttft))
    columns = (*KEYS, *SUMS, "latency", "ttft")
    sets = ", ".join(f"{name} = traces_sums.{name} + excluded.{name}" for name in SUMS)
    statement = (
        f"INSERT INTO traces_sums ({quoted(columns)}) VALUES ({', '.join([mark] * len(columns))}) "
        f"ON CONFLICT ({quoted(KEYS)}) DO UPDATE SET {sets}, latency = excluded.latency, ttft = excluded.ttft"
    )
    conn.exec_driver_sql(
        statement,
        [
            (*key, *sums.values, histogram.encode(sums.latency), histogram.encode(sums.ttft))
            for key, sums in ordered
        ],
    )
