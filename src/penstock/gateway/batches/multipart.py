"""multipart/form-data (RFC 7578), read piece by piece within fixed limits."""

import re
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple

from penstock.core.errors import Invalid

MAX_HEAD = 8192
MAX_PARTS = 32
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{1,70}")
_NAME = re.compile(r'(?<![a-z*])(name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class Part(NamedTuple):
    """The beginning of a part; a part with a filename is a file."""

    name: str
    filename: str | None


Piece = Part | bytes
"""A part's beginning, or some of the content of the part before it."""


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a Content-Type header names; raises Invalid when it is no multipart/form-data."""
    message = Message()
    message["content-type"] = content_type.decode("latin-1")
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise Invalid(
            "Send the file as multipart/form-data.", hint="With curl: -F purpose=batch -F file=@FILE"
        )
    if not _BOUNDARY.fullmatch(boundary):
        raise Invalid("The boundary of the multipart body is not valid.")
    return boundary.encode()


class MultipartReader:
    """Fed with the body's bytes, yields parts and their content. Keeps at most one head or boundary in memory."""

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # the first boundary stands at the very beginning, without a line's end
        self._state = "before"
        self._parts = 0

    @property
    def complete(self) -> bool:
        """Whether the closing boundary was read."""
        return self._state == "end"

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Yield what `data` adds; raises Invalid for a malformed body."""
        self._buffer += data
        step = {
            "before": self._content,
            "content": self._content,
            "mark": self._after_mark,
            "head": self._head,
        }
        while self._state != "end":
            found = step[self._state]()
            if found is None:
                return
            yield from found

    def _content(self) -> list[Piece] | None:
        """Take content up to the next boundary; returns None when more bytes are needed."""
        at = self._buffer.find(self._mark)
        inside = self._state == "content"
        if at < 0:
            keep = len(self._mark) - 1
            piece, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
            return [piece] if inside and piece else None
        piece, self._buffer = self._buffer[:at], self._buffer[at + len(self._mark) :]
        self._state = "mark"
        return [piece] if inside and piece else []

    def _after_mark(self) -> list[Piece] | None:
        if self._buffer.startswith(b"--"):
            self._state = "end"
            return []
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            if len(self._buffer) > MAX_HEAD:
                raise Invalid("The multipart body is malformed.")
            return None
        if line.strip(b" \t"):
            raise Invalid("The multipart body is malformed.")
        # The line's end stays, so that a part without headers ends its head at once.
        self._buffer, self._state = b"\r\n" + rest, "head"
        return []

    def _head(self) -> list[Piece] | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD:
            raise Invalid("The headers of a part of the multipart body are too large.")
        if not found:
            return None
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Invalid(f"The multipart body has more than {MAX_PARTS} parts.")
        self._buffer, self._state = rest, "content"
        return [_part(head)]


def _part(head: bytes) -> Part:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition" and value.strip().lower().startswith("form-data"):
            found = {key.lower(): re.sub(r"\\(.)", r"\1", text) for key, text in _NAME.findall(value)}
            if "name" in found:
                return Part(found["name"], found.get("filename"))
    raise Invalid("A part of the multipart body has no name.")
