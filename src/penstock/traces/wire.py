"""Protobuf's framing, read without building the message: what comes out is bounded before anything is made of it.

Format: https://protobuf.dev/programming-guides/encoding/. A few bytes can stand for a million empty messages, so
requests are cut into their items here and each item is counted before the protobuf library makes objects of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from penstock.core.errors import Invalid, TooLarge

MAX_ITEMS = 100_000
"""Spans, log records or metrics in one request."""
MAX_FIELDS = 500_000
"""Messages inside one item."""
_COUNTED_BYTES = 1 << 20
"""Items up to this size cannot hold enough to be worth counting."""
_MAX_DEPTH = 100

Tree = Mapping[int, Any]
"""Field number → Tree of the message in it: where to look for messages inside messages."""

_ANY: dict[int, Any] = {}
_KEY_VALUE: Tree = {2: _ANY}
_ANY |= {5: {1: _ANY}, 6: {1: _KEY_VALUE}}
_POINT: Tree = {1: _KEY_VALUE, 7: _KEY_VALUE, 9: _KEY_VALUE, 5: {}, 8: {}, 11: {}}
SPAN: Tree = {9: _KEY_VALUE, 11: {3: _KEY_VALUE}, 13: {4: _KEY_VALUE}}
LOG: Tree = {5: _ANY, 6: _KEY_VALUE}
METRIC: Tree = {number: {1: _POINT} for number in (5, 7, 9, 10, 11)}


class Group(NamedTuple):
    """The items that one resource and scope sent, each still as bytes."""

    resource: bytes
    scope: bytes
    items: list[bytes]


def _broken() -> Invalid:
    return Invalid("The body is not an OTLP request: it ends too early.", hint="Send OTLP protobuf.")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise Invalid("The body is not an OTLP request: a number in it is too long.", hint="Send OTLP protobuf.")


def _parts(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (field number, start, end) of each length-delimited field; raises Invalid for broken framing."""
    while at < end:
        try:
            key, at = _varint(data, at)
            kind = key & 7
            if kind == 2:
                size, at = _varint(data, at)
                if at + size > end:
                    raise _broken()
                yield key >> 3, at, at + size
                at += size
            elif kind == 0:
                _, at = _varint(data, at)
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            else:
                raise Invalid("The body is not an OTLP request.", hint="Send OTLP protobuf.")
        except IndexError:
            raise _broken() from None
    if at > end:
        raise _broken()


def groups(data: bytes, tree: Tree) -> Iterator[Group]:
    """Yield what an export request of any signal holds, in order.

    All three have one shape: requests hold groups by resource (1: resource, 2: groups by scope), those hold (1: scope,
    2: items). `tree` tells where an item holds messages. Raises Invalid for broken framing and TooLarge for more
    than MAX_ITEMS items or MAX_FIELDS messages in one.
    """
    seen = 0
    for number, start, end in _parts(data, 0, len(data)):
        seen += 1
        if seen > MAX_ITEMS:
            raise too_many()
        if number != 1:
            continue
        resource, scopes = b"", []
        for inner, low, high in _parts(data, start, end):
            if inner == 1:
                resource += data[low:high]
            elif inner == 2:
                scopes.append((low, high))
                if len(scopes) > MAX_ITEMS:
                    raise too_many()
        for low, high in scopes:
            seen += 1
            group = Group(resource, *_scope(data, low, high, MAX_ITEMS - seen))
            seen += len(group.items)
            for item in group.items:
                check_fields(item, tree)
            check_fields(group.resource, {1: _KEY_VALUE})
            check_fields(group.scope, {3: _KEY_VALUE})
            yield group


def _scope(data: bytes, start: int, end: int, left: int) -> tuple[bytes, list[bytes]]:
    scope, items = b"", list[bytes]()
    for number, low, high in _parts(data, start, end):
        if number == 1:
            scope += data[low:high]
        elif number == 2:
            if len(items) >= left:
                raise too_many()
            items.append(data[low:high])
    return scope, items


def too_many() -> TooLarge:
    """Return the error for a request of more items than are taken at once."""
    return TooLarge(f"The request holds more than {MAX_ITEMS} items.", hint="Send smaller batches.")


def check_fields(data: bytes, tree: Tree) -> None:
    """Raise TooLarge when `data`, a message shaped like `tree`, holds more than MAX_FIELDS messages."""
    if len(data) <= _COUNTED_BYTES:
        return
    stack: list[tuple[int, int, Tree, int]] = [(0, len(data), tree, 0)]
    seen = 0
    while stack:
        start, end, shape, depth = stack.pop()
        for number, low, high in _parts(data, start, end):
            seen += 1
            if seen > MAX_FIELDS:
                raise TooLarge(
                    f"One span, log record or metric holds more than {MAX_FIELDS} values.",
                    hint="Send fewer attributes.",
                )
            inner = shape.get(number)
            if inner and depth < _MAX_DEPTH:
                stack.append((low, high, inner, depth + 1))


def varint(number: int) -> bytes:
    """Return a whole number ≥ 0 as protobuf writes it."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def field(number: int, data: bytes) -> bytes:
    """Return one length-delimited field."""
    return varint(number << 3 | 2) + varint(len(data)) + data
