"""The text inside rows: nested values included."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from penstock.datasets.model import Row


def strings(value: Any) -> Iterator[str]:
    """Yield every string inside a JSON value, in order; names of objects do not count."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def text_of(row: Row, columns: Sequence[str]) -> str:
    """Return the text of the columns (empty: of all), joined by line ends."""
    values = (row.get(name) for name in columns) if columns else row.values()
    return "\n".join(string for value in values for string in strings(value))


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return the JSON value with every string inside it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: map_strings(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [map_strings(inner, change) for inner in value]
    return value


def map_row(row: Row, columns: Sequence[str], change: Callable[[str], str]) -> Row:
    """Return the row with every string in the columns (empty: in all) changed."""
    return {
        name: map_strings(value, change) if not columns or name in columns else value
        for name, value in row.items()
    }
