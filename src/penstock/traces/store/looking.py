"""Spans unpacked as far as conditions on their text, tags and attributes read them."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, text

from penstock.traces import body

_AT_ONCE = 200
"""Spans read by one statement."""


class Said(Protocol):
    """What words are looked for in."""

    @property
    def name(self) -> str:
        """The span's name."""

    @property
    def error(self) -> str | None:
        """The text of its error."""

    @property
    def input(self) -> bytes | None:
        """What was asked, a JSON document."""

    @property
    def output(self) -> bytes | None:
        """What was answered, a JSON document."""


class Looked(msgspec.Struct, gc=False):
    """A span as conditions see it."""

    name: str
    error: str | None
    input: bytes | None
    output: bytes | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    attributes: dict[str, Any]
    parameters: dict[str, Any]
    agent: str | None
    tool: str | None


def looked(name: str, error: str | None, data: bytes) -> Looked:
    """Return the span with a row's name and error and its body's data."""
    held = body.unpack_conditions(data)
    return Looked(
        name,
        error,
        held.input,
        held.output,
        held.tags,
        held.metadata,
        held.attributes,
        held.parameters,
        held.agent,
        held.tool,
    )


def numbers_of(conn: Connection, traces: Sequence[int], most: int | None = None) -> list[tuple[int, int]]:
    """Return (row number of a span, its trace) of traces of every scope, which a caller found in its own.

    With `most`, no more than these.
    """
    listed = ", ".join(str(int(number)) for number in traces)
    if not listed:
        return []
    end = "" if most is None else f" LIMIT {int(most)}"
    rows = conn.execute(text(f"SELECT id, trace FROM traces_spans WHERE trace IN ({listed}){end}"))
    return [(row[0], row[1]) for row in rows]


def at(conn: Connection, numbers: Sequence[int]) -> Iterator[tuple[int, Looked]]:
    """Yield (row number, span) of spans of every scope by their row numbers, as they are asked for."""
    for start in range(0, len(numbers), _AT_ONCE):
        listed = ", ".join(str(int(number)) for number in numbers[start : start + _AT_ONCE])
        query = text(
            "SELECT s.id, s.name, s.error, b.data FROM traces_spans s JOIN traces_bodies b ON b.id = s.id "
            f"WHERE s.id IN ({listed})"
        )
        for number, name, error, data in conn.execute(query):
            yield number, looked(name, error, data)
