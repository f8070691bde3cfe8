"""Snapshots of the program's values: plain JSON types, within a budget, whatever the value is or does.

The caller pays only for the copy, which shares its strings with the original; JSON is written by the sending thread.
Copying at once also means that what the program changes later is not seen.
"""

import dataclasses
import enum
import itertools
import json
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

LONGEST_VALUE = 1_000_000
"""Characters of one captured input or output; the rest is cut off and said so."""
MOST_PARTS = 20_000
"""Values inside one captured input or output."""
DEEPEST = 40
LONGEST_KEY = 200
_MOST_BITS = 4_096
_PART_COST = 24
"""What a part weighs in a queue beside its text, in bytes."""

Plain = Any
"""None, truth values, numbers, text, and lists and dicts (with text keys) of them."""


class Json:
    """A snapshot that becomes JSON text when it is sent."""

    __slots__ = ("value",)

    def __init__(self, value: Plain) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Json({self.value!r})"

    def text(self) -> str:
        """Return the JSON."""
        return json.dumps(self.value, ensure_ascii=False)


class Budget:
    """How much more may be copied, and which containers are being copied right now."""

    __slots__ = ("chars", "parts", "path")

    def __init__(self, chars: int | None = None, parts: int = MOST_PARTS) -> None:
        self.chars = LONGEST_VALUE if chars is None else chars
        self.parts = parts
        self.path: set[int] = set()

    def spent(self, before: "tuple[int, int]") -> int:
        """Return about how many bytes were copied since the budget was `before`."""
        return before[0] - self.chars + _PART_COST * (before[1] - self.parts)

    @property
    def left(self) -> tuple[int, int]:
        """Characters and parts."""
        return self.chars, self.parts


def snapshot(value: Any, budget: Budget | None = None) -> tuple[Plain, int]:
    """Return a plain copy of `value` and about how many bytes it holds; never raises."""
    budget = budget or Budget()
    before = budget.left
    try:
        plain = _copy(value, budget, 0)
    except Exception as error:  # noqa: BLE001 - a traced program's broken object must not break the program
        plain = f"<{type(value).__name__}: {type(error).__name__}>"
    return plain, budget.spent(before)


def as_text(value: Any) -> tuple[str, str]:
    """Return `value` as text and its media type: text itself, JSON of the rest."""
    plain, _ = snapshot(value)
    return (plain, "text/plain") if isinstance(plain, str) else (Json(plain).text(), "application/json")


def clipped(text: str, most: int | None = None) -> str:
    """Return `text`, cut to `most` characters and marked when it is longer."""
    most = LONGEST_VALUE if most is None else max(0, most)
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} characters cut off)"


def _copy(value: Any, budget: Budget, depth: int) -> Plain:
    kind = type(value)
    if kind is str:
        return _text(value, budget)
    budget.parts -= 1
    if value is None or kind is bool:
        return value
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple(value)
    if budget.parts < 0 or depth >= DEEPEST:
        return "…"
    if id(value) in budget.path:
        return "<circular>"
    budget.path.add(id(value))
    try:
        copier = _CONTAINERS.get(kind) or _copier(kind, value)
        return copier(value, budget, depth + 1)
    except Exception as error:  # noqa: BLE001 - one broken object inside must not hide its neighbours
        return f"<{kind.__name__}: {type(error).__name__}>"
    finally:
        budget.path.discard(id(value))


def _text(value: str, budget: Budget) -> str:
    left = budget.chars
    if len(value) > left:
        budget.chars = 0
        return clipped(value, left)
    budget.chars = left - len(value)
    return value


def _number(value: float) -> Plain:
    return float(value) if math.isfinite(value) else repr(float(value))


def _integer(value: int) -> Plain:
    return int(value) if value.bit_length() <= _MOST_BITS else f"<integer of {value.bit_length()} bits>"


def _bytes(value: "bytes | bytearray | memoryview") -> str:
    return f"<{len(value)} bytes>"


def _mapping(value: Mapping[Any, Any], budget: Budget, depth: int) -> dict[str, Plain]:
    return _pairs(value.items(), len(value), budget, depth)


def _pairs(pairs: Iterable[tuple[Any, Any]], size: int, budget: Budget, depth: int) -> dict[str, Plain]:
    copied: dict[str, Plain] = {}
    room = max(1, budget.parts)
    for key, item in itertools.islice(pairs, room):
        name = key if type(key) is str else safe_repr(key)
        copied[name if len(name) <= LONGEST_KEY else clipped(name, LONGEST_KEY)] = _copy(item, budget, depth)
        budget.chars -= min(len(name), LONGEST_KEY)
        if budget.parts < 0 or budget.chars <= 0:
            break
    if len(copied) < size:
        copied["…"] = f"{size - len(copied)} more"
    return copied


def _items(value: Collection[Any], budget: Budget, depth: int) -> list[Plain]:
    copied: list[Plain] = []
    for item in itertools.islice(value, max(1, budget.parts)):
        copied.append(_copy(item, budget, depth))
        if budget.parts < 0 or budget.chars <= 0:
            break
    more = len(value) - len(copied)
    if more > 0:
        copied.append(f"… {more} more")
    return copied


def _fields(value: Any, budget: Budget, depth: int) -> dict[str, Plain]:
    names = [field.name for field in dataclasses.fields(value) if field.repr]
    return _pairs(((name, getattr(value, name, None)) for name in names), len(names), budget, depth)


def _struct(value: Any, budget: Budget, depth: int) -> dict[str, Plain]:
    names = value.__struct_fields__
    return _pairs(((name, getattr(value, name, None)) for name in names), len(names), budget, depth)


def _model(value: Any, budget: Budget, depth: int) -> dict[str, Plain]:
    held = {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    return _mapping(held, budget, depth)


def _array(value: Any, budget: Budget, depth: int) -> Plain:
    if value.shape == () and hasattr(value, "item"):
        return _copy(value.item(), budget, depth)
    return f"<{type(value).__name__} of shape {tuple(value.shape)}, {getattr(value, 'dtype', '?')}>"


def _described(value: Any, budget: Budget, depth: int) -> str:  # noqa: ARG001 - a copier's signature
    return _text(safe_repr(value), budget)


def _named(value: Any, budget: Budget, depth: int) -> str:  # noqa: ARG001 - a copier's signature
    return _text(str(value), budget)


Copier = Callable[[Any, Budget, int], Plain]

_SIMPLE: dict[type, Callable[[Any], Plain]] = {
    int: _integer,
    float: _number,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
}
_CONTAINERS: dict[type, Copier] = {
    dict: _mapping,
    list: _items,
    tuple: _items,
    set: _items,
    frozenset: _items,
    deque: _items,
}
_BY_NAME = {"datetime", "date", "time", "UUID", "Decimal", "PosixPath", "WindowsPath"}
_BASES: tuple[tuple[type, Copier], ...] = (
    (enum.Enum, lambda value, budget, depth: _copy(value.value, budget, depth)),
    (str, lambda value, budget, _: _text(str.__str__(value), budget)),
    (int, lambda value, _, __: _integer(value)),
    (float, lambda value, _, __: _number(value)),
    (Mapping, _mapping),
    (tuple, _items),
    (list, _items),
    (set, _items),
    (bytes, lambda value, _, __: _bytes(value)),
)


def _copier(kind: type, value: Any) -> Copier:
    if dataclasses.is_dataclass(kind):
        return _fields
    if hasattr(kind, "model_fields") and hasattr(kind, "model_dump"):
        return _model
    if hasattr(kind, "__struct_fields__"):
        return _struct
    for base, copier in _BASES:
        if isinstance(value, base):
            return _tuple_of(kind) if base is tuple else copier
    if kind.__name__ in _BY_NAME:
        return _named
    return _array if hasattr(value, "shape") and hasattr(value, "dtype") else _described


def _tuple_of(kind: type) -> Copier:
    names = getattr(kind, "_fields", None)
    if not isinstance(names, tuple):
        return _items
    return lambda value, budget, depth: _pairs(zip(names, value, strict=False), len(names), budget, depth)


def safe_repr(value: Any) -> str:
    """Return `repr(value)`, or what went wrong with it."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a traced program's broken __repr__ must not break the program
        return f"<{type(value).__name__}: repr failed with {type(error).__name__}>"
