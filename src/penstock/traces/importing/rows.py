"""The rows of a file: JSON lines, a JSON array, one JSON object, or Parquet; nothing is held whole but one row."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.core.deferred import deferred
from penstock.core.errors import Invalid

if TYPE_CHECKING:
    from penstock.traces import parquet
else:
    parquet = deferred("penstock.traces.parquet")

MAX_ROW = 256 << 20
"""Bytes of one row."""
_CHUNK = 1 << 20
_STRUCTURE = re.compile(rb'["{}\[\]\n]')
_STRING = re.compile(rb'["\n\\]')
_WRAPPERS = ("data", "traces", "observations", "spans", "scores")
"""Lists that an object around the rows holds: a page of an API's answer, or tables side by side."""
_WHOLE = frozenset({"trace_id", "traceId", "request_id", "info", "id"})
"""A row with one of these is a trace or span itself, whatever lists it holds."""


class Row(NamedTuple):
    """One row, or why there is none at this line (counted from 1)."""

    line: int
    value: dict[str, Any] | None
    reason: str = ""
    excerpt: str = ""


def read(path: Path) -> Iterator[Row]:
    """Yield the rows of a file; a broken one has a reason. Raises Invalid for what is none of the formats."""
    with path.open("rb") as file:
        head = file.read(4)
        if head == b"PAR1":
            for line, value in enumerate(parquet.rows(path), start=1):
                yield Row(line, value)
            return
        file.seek(0)
        yield from _json(file)


def _json(file: IO[bytes]) -> Iterator[Row]:
    start = _first(file)
    if start is None:
        return
    if start == b"[":
        yield from _objects(file)
        return
    if start != b"{":
        raise Invalid("The file is not JSON, JSON lines or Parquet.", hint="Export it as one of them.")
    first = file.readline(MAX_ROW + 1)
    file.seek(0)
    try:
        whole = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        whole = None
    following = whole is None and _spread(first)
    if following:
        yield from _objects(file)
    else:
        yield from _lines(file)


def _spread(first: bytes) -> bool:
    """Whether the first line only begins an object that further lines end."""
    return first.rstrip().endswith((b"{", b"[", b",")) and first.count(b"{") > first.count(b"}")


def _first(file: IO[bytes]) -> bytes | None:
    """Return the first byte that is no space (or byte order mark), and go back to the beginning."""
    if file.read(3) != b"\xef\xbb\xbf":
        file.seek(0)
    while byte := file.read(1):
        if not byte.isspace():
            file.seek(0)
            return byte
    return None


def _lines(file: IO[bytes]) -> Iterator[Row]:
    number = 0
    while line := file.readline(MAX_ROW + 1):
        number += 1
        if len(line) > MAX_ROW:
            yield Row(number, None, f"the line is longer than {MAX_ROW >> 20} MB", _excerpt(line))
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_ROW)
        elif text := line.strip().removeprefix(b"\xef\xbb\xbf"):
            yield from _row(number, text)


def _row(line: int, text: bytes) -> Iterator[Row]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        yield Row(line, None, f"not JSON: {error}", _excerpt(text))
        return
    except RecursionError:
        yield Row(line, None, "nested too deeply", _excerpt(text))
        return
    if not isinstance(value, dict):
        yield Row(line, None, f"a {type(value).__name__}, not an object", _excerpt(text))
        return
    lists = [value[name] for name in _WRAPPERS if isinstance(value.get(name), list)]
    if not lists or _WHOLE & value.keys():
        yield Row(line, value)
        return
    for item in (item for one in lists for item in one):
        if isinstance(item, dict):
            yield Row(line, item)
        else:
            yield Row(line, None, f"a {type(item).__name__}, not an object", str(item)[:200])


def _excerpt(text: bytes) -> str:
    return text[:200].decode("utf-8", "replace")


def _objects(file: IO[bytes]) -> Iterator[Row]:
    """Yield the objects of an array, or objects one after the other, wherever lines end."""
    scanner = _Scanner()
    while chunk := file.read(_CHUNK):
        for line, text in scanner.feed(chunk):
            yield from _row(line, text)
    if scanner.depth or scanner.in_string:
        yield Row(scanner.started, None, "the file ends inside an object", _excerpt(bytes(scanner.held)))


class _Scanner:
    """Cuts bytes into top-level objects by counting brackets outside of strings."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = self._escaping = False
        self.held = bytearray()
        self.line = self.started = 1

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (line, text) of every object that ends in `chunk`."""
        at, begin = int(self._escaping), 0
        self._escaping = False
        while (found := (_STRING if self.in_string else _STRUCTURE).search(chunk, at)) is not None:
            mark, at = found.group(), found.end()
            if mark == b"\\":
                self._escaping = at == len(chunk)  # what it escapes comes with the next chunk
                at += 1
            elif mark == b"{" and self.depth == 0:
                begin, self.started, self.depth = found.start(), self.line, 1
            elif mark == b"}" and self.depth == 1:
                self.depth = 0
                yield self.started, bytes(self.held) + chunk[begin:at]
                self.held.clear()
            else:
                self._count(mark)
        if self.depth:
            self.held += chunk[begin:]
            if len(self.held) > MAX_ROW:
                raise Invalid(f"Line {self.started}: an object is larger than {MAX_ROW >> 20} MB.")

    def _count(self, mark: bytes) -> None:
        if mark == b"\n":
            self.line += 1
        elif mark == b'"':
            self.in_string = not self.in_string
        elif mark == b"{":
            self.depth += 1
        elif mark == b"}" and self.depth:
            self.depth -= 1
