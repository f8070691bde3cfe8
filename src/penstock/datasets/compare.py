"""Comparing two versions: a merge of both tables in the order of their keys, so memory stays small."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import Invalid
from penstock.datasets.model import DatasetVersion, Difference, Row, StoredRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which of the rows that differ are to be shown."""

    examples: int = 20
    skip: int = 0
    """How many to go past first."""
    change: str | None = None
    """Only `added`, `removed` or `changed` ones."""


def difference(
    before: DatasetVersion,
    after: DatasetVersion,
    old: Iterator[StoredRow],
    new: Iterator[StoredRow],
    *,
    wanted: Wanted,
) -> Difference:
    """Return what changed from `before` to `after`; `old` and `new` yield their rows ordered by key, each key once.

    Raises Invalid when a key comes twice.
    """
    counts: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    skip = wanted.skip
    for change, left, right in _merge(_single(old, before.ref), _single(new, after.ref)):
        counts[change] += 1
        if change == "unchanged":
            continue
        differing = _differing(left, right)
        fields.update(differing)
        if wanted.change in (None, change) and len(shown) < wanted.examples:
            if skip:
                skip -= 1
                continue
            shown.append(_example(change, differing, left, right))
    types = [{column.name: column.type for column in version.schema} for version in (before, after)]
    return Difference(
        before=before.ref,
        after=after.ref,
        added=counts["added"],
        removed=counts["removed"],
        changed=counts["changed"],
        unchanged=counts["unchanged"],
        columns_added=tuple(name for name in types[1] if name not in types[0]),
        columns_removed=tuple(name for name in types[0] if name not in types[1]),
        columns_retyped=tuple(
            name for name in types[0] if types[1].get(name, types[0][name]) != types[0][name]
        ),
        fields=dict(fields.most_common()),
        examples=tuple(shown),
    )


def _example(
    change: str, differing: list[str], left: StoredRow | None, right: StoredRow | None
) -> dict[str, Any]:
    return {
        "change": change,
        "key": left.key if left else right.key if right else "",
        "fields": differing,
        "before": left.row if left else None,
        "after": right.row if right else None,
    }


def _single(rows: Iterator[StoredRow], ref: str) -> Iterator[StoredRow]:
    last: str | None = None
    for row in rows:
        if row.key == last:
            raise Invalid(
                f"The key {row.key!r} is in {ref} more than once.",
                hint="Compare by a column that identifies rows.",
            )
        last = row.key
        yield row


def _differing(left: StoredRow | None, right: StoredRow | None) -> list[str]:
    """Return the columns in which a changed row differs, its split as `__split`."""
    if left is None or right is None:
        return []
    found = [name for name in {**left.row, **right.row} if left.row.get(name) != right.row.get(name)]
    return found if left.split == right.split else [*found, "__split"]


def _merge(
    old: Iterator[StoredRow], new: Iterator[StoredRow]
) -> Iterator[tuple[str, StoredRow | None, StoredRow | None]]:
    left, right = next(old, None), next(new, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.key < right.key):
            yield "removed", left, None
            left = next(old, None)
        elif left is None or right.key < left.key:
            yield "added", None, right
            right = next(new, None)
        else:
            same = left.split == right.split and _present(left.row) == _present(right.row)
            yield "unchanged" if same else "changed", left, right
            left, right = next(old, None), next(new, None)


def _present(row: Row) -> Row:
    """Return the row without nulls: a column that was added or removed changes no row that lacks a value."""
    return {name: value for name, value in row.items() if value is not None}
