"""Comparing two versions: a merge of both tables in the order of their keys, so memory stays small."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from penstock.datasets.model import DatasetVersion, Difference, Row, StoredRow


def difference(
    before: DatasetVersion,
    after: DatasetVersion,
    old: Iterator[StoredRow],
    new: Iterator[StoredRow],
    *,
    examples: int,
) -> Difference:
    """Return what changed from `before` to `after`; `old` and `new` yield their rows ordered by key."""
    counts: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    for change, left, right in _merge(old, new):
        counts[change] += 1
        if change != "unchanged" and len(shown) < examples:
            shown.append(
                {
                    "change": change,
                    "key": left.key if left else right.key if right else "",
                    "before": left.row if left else None,
                    "after": right.row if right else None,
                }
            )
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
        examples=tuple(shown),
    )


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
