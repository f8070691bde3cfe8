"""Files as streams of plain bytes, whatever they are compressed with, in bounded memory."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import zstandard
from zstandard import ZstdError as ZstdError

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of a compressed file → what it is compressed with."""
ENDINGS = (".gz", ".zst", ".zstd")
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, ZstdError)
"""What reading a cut-off or damaged file raises."""
_PIECE = 1024
"""Compressed bytes taken at a time: Zstandard turns 4 bytes into at most 128 kB, so a piece makes at most 32 MB."""
_BUFFER = 1 << 18
_WINDOW = 128 << 20


@dataclass(slots=True)
class Meter:
    """How far a file has been read, in bytes as they are on the disk."""

    size: int = 0
    _file: IO[bytes] | None = None
    _closed_at: int = 0

    def follow(self, file: IO[bytes]) -> None:
        """Look at the position of `file` from now on."""
        self._file = file

    def rest(self) -> None:
        """Keep the position; the file is about to be closed."""
        if self._file is not None:
            self._closed_at, self._file = self._file.tell(), None

    @property
    def share(self) -> float:
        """Return the part that was read, 0 to 1."""
        position = self._closed_at if self._file is None else self._file.tell()
        return min(1.0, position / self.size) if self.size else 0.0


class ZstdFile(io.RawIOBase):
    """The content of a Zstandard file of one frame or several; a cut-off one raises EOFError."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ready = memoryview(b"")
        self._rest = b""
        self._frame: zstandard.ZstdDecompressionObj | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # any writable buffer, as io.RawIOBase takes it
        """Fill `buffer` with what comes next; returns how many bytes, 0 at the end."""
        while not self._ready:
            data = self._rest or self._file.read(_PIECE)
            self._rest = b""
            if not data:
                if self._frame is not None:
                    raise EOFError("the Zstandard file ends within a frame")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
            self._ready = memoryview(self._frame.decompress(data))
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def kind_of(head: bytes) -> str:
    """Return what a file that begins with `head` is compressed with: `gzip`, `zstd` or empty."""
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")


@contextmanager
def opened(path: Path, kind: str, meter: Meter | None = None) -> Iterator[io.BufferedReader]:
    """Yield the file's plain bytes; `kind` as from `kind_of`."""
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        if meter is not None:
            meter.follow(raw)
            stack.callback(meter.rest)
        if kind == "gzip":
            yield cast(io.BufferedReader, stack.enter_context(gzip.GzipFile(fileobj=raw)))
        elif kind == "zstd":
            yield stack.enter_context(io.BufferedReader(ZstdFile(raw), _BUFFER))
        else:
            yield raw
