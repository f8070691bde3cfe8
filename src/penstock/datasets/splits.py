"""Dividing rows into splits by hashing: the same rows, plan and seed always give the same splits.

Without stratification a row's place depends on its own key (or group) alone, so it stays where it is
when other rows are added or removed; shares are then met on average. With stratification shares are
exact up to rounding, and adding rows may move others. No part of a group is ever divided.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from penstock.core.errors import Invalid
from penstock.datasets.dedup import NearIndex
from penstock.datasets.model import Row, SplitPlan
from penstock.datasets.spool import canonical
from penstock.datasets.text import text_of

NEAR_THRESHOLD = 0.7
"""Jaccard similarity from which rows may not be in different splits."""
MAX_SPLITS = 1000
_TWO_64 = float(1 << 64)
_BATCH = 1 << 16


class Assigned(Sequence[str]):
    """The split of each row, in 2 bytes per row."""

    def __init__(self, names: Sequence[str], choices: "array[int]") -> None:
        self._names, self._choices = names, choices

    def __len__(self) -> int:
        return len(self._choices)

    def __iter__(self) -> Iterator[str]:
        names = self._names
        return (names[choice] for choice in self._choices)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        """Return the split of the row at `place`."""
        if isinstance(place, slice):
            return [self._names[choice] for choice in self._choices[place]]
        return self._names[self._choices[place]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as the data model asks for what is not hashable


def assign(plan: SplitPlan, rows: Iterable[tuple[str, Row]]) -> Assigned:
    """Return the split of each `(key, row)`, in order; the plan has been checked.

    Unless rows are stratified, ordered by time or kept together with near duplicates, memory does not
    grow with them but for 2 bytes each.
    """
    if plan.column is not None:
        return _by_column(plan.column, rows)
    # By name: the order in which shares were given means nothing, and JSONB does not keep it.
    names = sorted(plan.fractions)
    if plan.time_by is not None:
        return _by_time(plan, rows)
    edges = np.cumsum([plan.fractions[name] for name in names])
    edges[-1] = np.inf
    if plan.stratify_by is None and plan.near_duplicates_of is None:
        return Assigned(names, _streamed(plan, rows, edges))
    gathered = _gather(plan, rows)
    if not gathered.hashes:
        return Assigned(names, array("H"))
    hashes = np.array(gathered.hashes, dtype=np.uint64)
    unit = _units(plan, gathered, len(hashes))
    _, member = np.unique(unit, return_inverse=True)
    lowest = np.full(int(member.max()) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(lowest, member, hashes)
    place = _mixed(lowest)
    if plan.stratify_by is None:
        chosen = np.searchsorted(edges, place, side="right")
    else:
        chosen = _stratified(place, member, np.array(gathered.strata), edges)
    return Assigned(names, _choices(chosen[member]))


def _choices(chosen: npt.NDArray[np.int64]) -> "array[int]":
    found = array("H")
    found.frombytes(chosen.astype(np.uint16).tobytes())
    return found


def _by_column(column: str, rows: Iterable[tuple[str, Row]]) -> Assigned:
    names: dict[str, int] = {}
    choices = array("H")
    for _, row in rows:
        choices.append(names.setdefault(_named(row, column), len(names)))
        if len(names) > MAX_SPLITS:
            raise Invalid(f"The split column {column!r} names more than {MAX_SPLITS} splits.")
    return Assigned(list(names), choices)


def _streamed(
    plan: SplitPlan, rows: Iterable[tuple[str, Row]], edges: npt.NDArray[np.float64]
) -> "array[int]":
    """Return the choices where a row's place depends on its own key or group alone."""
    found = array("H")
    for batch in _batches(_hash(plan.seed, _identity(plan, key, row)) for key, row in rows):
        place = _mixed(np.array(batch, dtype=np.uint64))
        found.extend(_choices(np.searchsorted(edges, place, side="right")))
    return found


def _batches(values: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(values)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _identity(plan: SplitPlan, key: str, row: Row) -> bytes:
    if plan.group_by is None:
        return key.encode()
    group = row.get(plan.group_by)
    # Rows without a group are on their own.
    return b"row " + key.encode() if group is None else canonical({"group": group})


def _by_time(plan: SplitPlan, rows: Iterable[tuple[str, Row]]) -> Assigned:
    """Give the oldest rows to the first split of the plan, the newest to the last; equal moments stay together.

    Memory: about 40 bytes per row.
    """
    assert plan.time_by is not None
    moments = array("d")
    for number, (_, row) in enumerate(rows, start=1):
        moment = moment_of(row.get(plan.time_by))
        if moment is None:
            raise Invalid(
                f"Row {number}: the time column {plan.time_by!r} holds {row.get(plan.time_by)!r}.",
                hint="Every row needs a moment there: ISO 8601, or a number.",
            )
        moments.append(moment)
    names = plan.order or tuple(plan.fractions)
    times, counts = np.unique(np.frombuffer(moments, dtype=np.float64), return_counts=True)
    shares = np.cumsum([plan.fractions[name] for name in names])
    shares[-1] = np.inf
    middle = (np.cumsum(counts) - counts / 2) / max(1, len(moments))
    chosen = np.searchsorted(shares, middle, side="right")
    at = np.searchsorted(times, np.frombuffer(moments, dtype=np.float64))
    return Assigned(list(names), _choices(chosen[at]))


def moment_of(value: Any) -> float | None:
    """Return an ISO 8601 text (UTC unless it says otherwise) as seconds since 1970, a number as it is; else None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@dataclass
class _Gathered:
    hashes: "array[int]" = field(default_factory=lambda: array("Q"))
    strata: "array[int]" = field(default_factory=lambda: array("q"))
    groups: dict[bytes, int] = field(default_factory=dict)
    first_of: "array[int]" = field(default_factory=lambda: array("q"))
    """For each row the position of the first row of its group."""
    near: NearIndex | None = None


def _gather(plan: SplitPlan, rows: Iterable[tuple[str, Row]]) -> _Gathered:
    result = _Gathered(near=NearIndex(threshold=NEAR_THRESHOLD) if plan.near_duplicates_of else None)
    strata: dict[bytes, int] = {}
    for position, (key, row) in enumerate(rows):
        identity = _identity(plan, key, row)
        if plan.group_by is not None:
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
