"""Cutting texts into the pieces of a stream, and writing events."""

from collections.abc import Iterator
from typing import Any

import msgspec

PIECE = 400
"""Characters per piece: few enough events to be cheap, small enough to look like a stream."""
encode = msgspec.json.Encoder().encode


def pieces(text: str) -> Iterator[str]:
    """Yield `text` piece by piece; nothing for an empty one."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def data(value: Any) -> bytes:
    """Return an event of data alone."""
    return b"data: %b\n\n" % encode(value)


def event(kind: str, value: Any) -> bytes:
    """Return an event with a name."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode(value))
