"""Taking in an uploaded file: from the request's body onto the disk, never whole in memory."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from penstock.core.errors import Invalid, StorageFull, TooLarge
from penstock.gateway.batches.model import StoredFile
from penstock.gateway.batches.multipart import MultipartReader, Part, Piece, boundary_of

BUFFER = 1 << 20
"""Bytes that gather before they are written, in a thread."""
MAX_FIELDS = 65536


class Begin(Protocol):
    """Makes the file that is about to be stored."""

    def __call__(self, *, filename: str) -> StoredFile:
        """Return a new file of that name."""
        ...


class Upload(msgspec.Struct, frozen=True):
    """What came in: the file (on disk, behind its salt), its size, and the other fields."""

    file: StoredFile
    size: int
    fields: dict[str, str]


class _Sink:
    """Sorts the pieces into fields and the file."""

    def __init__(self, out: BinaryIO, begin: Begin, limit: int) -> None:
        self._out = out
        self._begin = begin
        self._limit = limit
        self._field: str | None = None
        self._in_file = False
        self._fields: dict[str, bytes] = {}
        self.file: StoredFile | None = None
        self.size = 0
        self.waiting = bytearray()

    def take(self, piece: Piece) -> None:
        if isinstance(piece, Part):
            self._start(piece)
        elif self._in_file:
            self.size += len(piece)
            if self.size > self._limit:
                raise TooLarge(f"The file is larger than {self._limit // (1024 * 1024)} MB.")
            self.waiting += piece
        elif self._field is not None:
            self._fields[self._field] += piece
            if sum(len(value) for value in self._fields.values()) > MAX_FIELDS:
                raise TooLarge("The fields of the form are too large.")

    def _start(self, part: Part) -> None:
        self._in_file = part.filename is not None
        if part.filename is None:
            self._field = part.name
            self._fields[part.name] = b""
            return
        if part.name != "file" or self.file is not None:
            raise Invalid("Send one file, in the field `file`.", details={"param": "file"})
        self.file = self._begin(filename=part.filename)
        self.waiting += self.file.salt

    def write(self) -> None:
        """Write what gathered."""
        try:
            self._out.write(self.waiting)
        except OSError as error:
            raise StorageFull(f"The file could not be written: {error.strerror}.") from error
        self.waiting = bytearray()

    def fields(self) -> dict[str, str]:
        return {name: value.decode("utf-8", "replace") for name, value in self._fields.items()}


async def receive_upload(
    content_type: bytes,
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    path: Path,
    *,
    begin: Begin,
    limit: int,
) -> Upload:
    """Read a form with one file of at most `limit` bytes and write it to `path`; raises Invalid or TooLarge."""
    reader = MultipartReader(boundary_of(content_type))
    with path.open("wb") as out:
        sink = _Sink(out, begin, limit)
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise asyncio.CancelledError
            more = message.get("more_body", False)
            for piece in reader.feed(message.get("body", b"")):
                sink.take(piece)
            if len(sink.waiting) >= BUFFER or not more:
                await asyncio.to_thread(sink.write)
    if not reader.complete:
        raise Invalid("The multipart body ends before its closing boundary.")
    if sink.file is None:
        raise Invalid(
            "The form has no file.", details={"param": "file", "code": "missing_required_parameter"}
        )
    return Upload(sink.file, sink.size, sink.fields())
