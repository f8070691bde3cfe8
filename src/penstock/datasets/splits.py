"""Dividing rows into splits by hashing: the same rows, plan and seed always give the same splits.

Without stratification a row's place depends on its own key (or group) alone, so it stays where it is
when other rows are added or removed; shares are then met on average. With stratification shares are
exact up to rounding, and adding rows may move others. No part of a group is ever divided.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.core.errors import Invalid
from penstock.datasets.dedup import NearIndex
from penstock.datasets.model import Row, SplitPlan
from penstock.datasets.spool import canonical
from penstock.datasets.text import text_of

NEAR_THRESHOLD = 0.7
"""Jaccard similarity from which rows may not be in different splits."""
_TWO_64 = float(1 << 64)


def assign(plan: SplitPlan, rows: Iterable[tuple[str, Row]]) -> list[str]:
    """Return the split of each `(key, row)`, in order; the plan has been checked."""
    if plan.column is not None:
        return [_named(row, plan.column) for _, row in rows]
    gathered = _gather(plan, rows)
    if not gathered.hashes:
        return []
    hashes = np.array(gathered.hashes, dtype=np.uint64)
    unit = _units(plan, gathered, len(hashes))
    _, member = np.unique(unit, return_inverse=True)
    lowest = np.full(int(member.max()) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(lowest, member, hashes)
    place = _mixed(lowest)
    # By name: the order in which shares were given means nothing, and JSONB does not keep it.
    names = sorted(plan.fractions)
    edges = np.cumsum([plan.fractions[name] for name in names])
    edges[-1] = np.inf
    if plan.stratify_by is None:
        chosen = np.searchsorted(edges, place, side="right")
    else:
        chosen = _stratified(place, member, np.array(gathered.strata), edges)
    return [names[choice] for choice in chosen[member].tolist()]


@dataclass
class _Gathered:
    hashes: list[int] = field(default_factory=list)
    strata: list[int] = field(default_factory=list)
    groups: dict[bytes, int] = field(default_factory=dict)
    first_of: list[int] = field(default_factory=list)
    """For each row the position of the first row of its group."""
    near: NearIndex | None = None


def _gather(plan: SplitPlan, rows: Iterable[tuple[str, Row]]) -> _Gathered:
    result = _Gathered(near=NearIndex(threshold=NEAR_THRESHOLD) if plan.near_duplicates_of else None)
    strata: dict[bytes, int] = {}
    for position, (key, row) in enumerate(rows):
        identity = key.encode()
        if plan.group_by is not None:
            identity = canonical({"group": row.get(plan.group_by)})
            # Rows without a group are on their own.
            if row.get(plan.group_by) is None:
                identity = b"row " + key.encode()
            result.first_of.append(result.groups.setdefault(identity, position))
        result.hashes.append(_hash(plan.seed, identity))
        if plan.stratify_by is not None:
            value = canonical({"stratum": row.get(plan.stratify_by)})
            result.strata.append(strata.setdefault(value, len(strata)))
        if result.near is not None and plan.near_duplicates_of is not None:
            result.near.add(text_of(row, (plan.near_duplicates_of,)))
    return result


def _hash(seed: int, identity: bytes) -> int:
    name = hashlib.blake2b(identity, digest_size=8, salt=seed.to_bytes(16, "little", signed=True))
    return int.from_bytes(name.digest(), "little")


def _units(plan: SplitPlan, gathered: _Gathered, count: int) -> npt.NDArray[np.int64]:
    """Return for each row the number of the unit that has to stay together."""
    unit = gathered.near.clusters() if gathered.near is not None else np.arange(count)
    if plan.group_by is None:
        return unit
    parent = list(range(count))
    for position in range(count):
        for other in (int(unit[position]), gathered.first_of[position]):
            low, high = sorted((_top(parent, position), _top(parent, other)))
            parent[high] = low
    return np.array([_top(parent, position) for position in range(count)])


def _top(parent: list[int], position: int) -> int:
    while parent[position] != position:
        parent[position] = parent[parent[position]]
        position = parent[position]
    return position


def _mixed(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return an even spread over [0, 1): the smallest of several hashes alone would lean to 0 (SplitMix64)."""
    value = hashes + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return np.asarray(value / _TWO_64, dtype=np.float64)


def _stratified(
    place: npt.NDArray[np.float64],
    member: npt.NDArray[np.int64],
    strata: npt.NDArray[np.int64],
    edges: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """Cut each stratum's units, in the order of their hashes, at the wanted shares of rows.

    A unit belongs to the stratum of its first row.
    """
    first = np.full(len(place), len(member))
    np.minimum.at(first, member, np.arange(len(member)))
    sizes = np.bincount(member, minlength=len(place))
    stratum = strata[first]
    order = np.lexsort((place, stratum))
    ordered = sizes[order]
    totals = np.bincount(stratum, weights=sizes)[stratum[order]]
    opens = np.concatenate(([True], stratum[order][1:] != stratum[order][:-1]))
    running = np.cumsum(ordered)
    base = np.maximum.accumulate(np.where(opens, running - ordered, 0))
    middle = (running - base - ordered / 2) / totals
    chosen = np.empty(len(place), np.int64)
    chosen[order] = np.searchsorted(edges, middle, side="right")
    return chosen


def _named(row: Row, column: str) -> str:
    value: Any = row.get(column)
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise Invalid(f"The split column {column!r} holds {value!r}; every row needs the name of a split.")
    return value
