"""What of a span the full-text index is not told of."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.traces import words
from penstock.traces.model import SpanRecord

_DEPTH, _ITEMS = 3, 16
"""How deep `words.attribute_pairs` goes, and how far into lists."""
_KNOWN = 64
"""Plain values of a span's attributes that the index knows."""


def attributes(held: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Whether a span has more plain values in its attributes than the index knows: they are looked for in the span."""
    return _count(held, 0) + _count(parameters, 0) > _KNOWN


def _count(held: Mapping[str, Any], depth: int) -> int:
    """Return how many pairs `words.attribute_pairs` yields, or a few more: empty values count."""
    found = len(held)
    for value in held.values():
        if type(value) is dict:
            found += _count(value, depth + 1) if depth < _DEPTH else 0
        elif type(value) is list:
            found += len(value[:_ITEMS])
    return found


def never_searched(span: SpanRecord) -> list[str]:
    """Return the parts of a span that no search looks into: `input` and `output` beyond their first characters, and
    attributes below the depth, or behind the items of a list, that conditions read."""
    found = [
        name
        for name, document in (("input", span.input), ("output", span.output))
        if len(words.of_document(document)) >= words.MAX_CHARS
    ]
    return found + [f"attributes.{name}" for name in _beyond(span.attributes, "", 0)]


def _beyond(held: Mapping[str, Any], prefix: str, depth: int) -> Iterator[str]:
    for key, value in held.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if depth < _DEPTH:
                yield from _beyond(value, f"{name}.", depth + 1)
            elif value:
                yield name
        elif isinstance(value, list | tuple) and (
            len(value) > _ITEMS or any(isinstance(item, dict | list | tuple) for item in value)
        ):
            yield name
