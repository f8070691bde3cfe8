"""Which type each column has, found by looking at every value."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.datasets.model import MAX_COLUMNS, Column, ColumnType, Row

_INT64 = 1 << 63
_TYPES = {
    str: ColumnType.STRING,
    bool: ColumnType.BOOLEAN,
    int: ColumnType.INTEGER,
    float: ColumnType.NUMBER,
    list: ColumnType.JSON,
    dict: ColumnType.JSON,
}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


class SchemaBuilder:
    """Collects the types of the values it is shown."""

    def __init__(self) -> None:
        self._seen: dict[str, set[ColumnType]] = {}

    def observe(self, row: Row) -> None:
        """Look at a row; raises Invalid when there are too many columns."""
        for name, value in row.items():
            kinds = self._seen.get(name)
            if kinds is None:
                kinds = self._seen[name] = set()
                if len(self._seen) > MAX_COLUMNS:
                    raise Invalid(
                        f"There are more than {MAX_COLUMNS} different columns.",
                        hint="Put open-ended keys into one nested column.",
                    )
            if value is not None:
                kinds.add(_type(value))

    def state(self) -> dict[str, list[ColumnType]]:
        """Return what was seen so far, as plain values for `restore`."""
        return {name: sorted(kinds) for name, kinds in self._seen.items()}

    def restore(self, state: Mapping[str, Iterable[ColumnType]]) -> None:
        """Go on from `state`."""
        self._seen = {name: {ColumnType(kind) for kind in kinds} for name, kinds in state.items()}

    @property
    def names(self) -> list[str]:
        """Return the columns seen so far, in order of appearance."""
        return list(self._seen)

    def columns(self) -> tuple[Column, ...]:
        """Return the columns; raises Invalid when two names differ only in case (Delta tables ignore it)."""
        lower: dict[str, str] = {}
        for name in self._seen:
            other = lower.setdefault(name.lower(), name)
            if other != name:
                raise Invalid(
                    f"The columns {other!r} and {name!r} differ only in upper and lower case.",
                    hint="Rename one of them.",
                )
        return tuple(Column(name, resolve(kinds)) for name, kinds in self._seen.items())

    def extend(self, base: Sequence[Column]) -> tuple[Column, ...]:
        """Return `base` if what was seen fits into it; raises Invalid naming the first column that does not."""
        known = {column.name: column.type for column in base}
        for name, kinds in self._seen.items():
            if name not in known:
                raise Invalid(
                    f"The new rows have a column {name!r} that the dataset lacks.",
                    hint="Drop or rename it with a recipe, or replace the dataset's rows instead of appending.",
                )
            if kinds and not _fits(kinds, known[name]):
                raise Invalid(
                    f"The column {name!r} holds {resolve(kinds)} in the new rows and {known[name]} in the dataset.",
                    hint="Convert it, or replace the dataset's rows instead of appending.",
                )
        return tuple(base)


def resolve(kinds: Iterable[ColumnType]) -> ColumnType:
    """Return the one type that holds all of `kinds`: numbers widen, anything else mixed is JSON."""
    found = set(kinds)
    if not found:
        return ColumnType.STRING
    if len(found) == 1:
        return found.pop()
    if found == {ColumnType.INTEGER, ColumnType.NUMBER}:
        return ColumnType.NUMBER
    return ColumnType.JSON


def _fits(kinds: set[ColumnType], known: ColumnType) -> bool:
    return known is ColumnType.JSON or resolve({*kinds, known}) is known


def _type(value: Any) -> ColumnType:
    kind = _TYPES[type(value)]
    if kind is ColumnType.INTEGER and not -_INT64 <= value < _INT64:
        return ColumnType.JSON
    return kind


class DelimitedTypes:
    """Finds out which columns of a CSV file are numbers: those where converting loses nothing.

    `007`, `1.10` and `1e3` would not come back as they were, so a column with such a value stays text.
    """

    def __init__(self) -> None:
        self._integers: dict[str, bool] = {}
        self._numbers: dict[str, bool] = {}

    def state(self) -> tuple[dict[str, bool], dict[str, bool]]:
        """Return what was found so far, for `restore`."""
        return self._integers, self._numbers

    def restore(self, integers: Mapping[str, bool], numbers: Mapping[str, bool]) -> None:
        """Go on from what `state` gave."""
        self._integers, self._numbers = dict(integers), dict(numbers)

    def observe(self, row: Row) -> None:
        """Look at a row of texts."""
        for name, value in row.items():
            if value is None or not self._numbers.setdefault(name, True):
                continue
            if _INTEGER.fullmatch(value) and value != "-0":
                continue
            self._integers[name] = False
            self._numbers[name] = _is_number(value)

    def cast(self, row: Row, base: Sequence[Column] | None = None) -> Row:
        """Return the row with numbers in the columns found to be numbers (and not text in `base`)."""
        texts = {column.name for column in base or () if column.type is ColumnType.STRING}
        return {
            name: value if value is None or name in texts else self._convert(name, value)
            for name, value in row.items()
        }

    def _convert(self, name: str, value: str) -> Any:
        if not self._numbers.get(name, False):
            return value
        return int(value) if self._integers.get(name, True) else float(value)


def _is_number(value: str) -> bool:
    if not value[-1:].isdigit() or not value.isascii():
        return False
    try:
        return repr(float(value)) == value
    except ValueError:
        return False
