"""Files in which recorded spans wait for the database: what is in them survives the process that wrote it.

A folder of segments, each written by one process and locked (flock) while that process lives. Format of a segment:
frames of a little-endian header `<II` (length, CRC-32 as in zlib) and a MessagePack list of
`[tenant, project, span]`. A frame that the writer did not finish is not part of the spool. Beside a segment,
`NAME.read` holds how many bytes of it are in the database.
"""

import errno
import fcntl
import os
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from penstock.core import ids, log
from penstock.core.errors import PenstockError, StorageFull
from penstock.core.scope import Scope
from penstock.traces.model import SpanRecord

logger = log.get("traces.spool")
_HEADER = struct.Struct("<II")
_SUFFIX, _MARK = ".spool", ".read"
SEGMENT_BYTES = 8 * 1024 * 1024
_FRAME_BYTES = 1 << 30
_KEPT_BYTES = 8 * 1024 * 1024
"""A frame up to which its memory is kept for the next."""

Entry = tuple[str, str, SpanRecord]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


class SpoolFull(PenstockError):
    """The spool has reached its limit; nothing was written."""

    code = "spool_full"


def folder_of(home: Path) -> Path:
    """Return the folder of a home's spool."""
    return home / "spool"


class SpoolWriter:
    """Appends to segments of its own; for one process and one thread."""

    def __init__(self, folder: Path, *, limit: int, segment: int = SEGMENT_BYTES) -> None:
        """`limit` bounds the bytes of the whole folder, `segment` those of one file."""
        self._folder = folder
        self._limit = limit
        self._segment = segment
        self._file = -1
        self._size = 0
        self._frame = bytearray(_HEADER.size)
        """Where frames are put together: memory that is there already costs nothing to get."""

    def write(self, entries: Iterable[tuple[Scope, SpanRecord]]) -> None:
        """Append one frame; raises SpoolFull, or StorageFull when the disk does not take it: all or nothing."""
        # The error of a write that fails holds on to its frame, which could not grow then: the next begins anew.
        frame, self._frame = self._frame, bytearray(_HEADER.size)
        _encoder.encode_into(
            [(scope.tenant, scope.project, span) for scope, span in entries], frame, _HEADER.size
        )
        try:
            with memoryview(frame) as whole, whole[_HEADER.size :] as data:
                if waiting(self._folder) + len(data) > self._limit:
                    raise SpoolFull("Too many spans wait for the database.")
                _HEADER.pack_into(frame, 0, len(data), zlib.crc32(data))
                self._append(whole)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
                raise StorageFull(f"The spool cannot be written: {error.strerror}.") from error
            raise
        if len(frame) <= _KEPT_BYTES:
            self._frame = frame

    def _append(self, frame: memoryview) -> None:
        if self._file < 0 or self._size >= self._segment:
            self.close()
            self._open()
        try:
            written = 0
            while written < len(frame):
                written += os.write(self._file, frame[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(frame)

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{ids.new_id('seg')}{_SUFFIX}"
        new = path.with_suffix(".new")
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        new.rename(path)  # only now, locked, may a reader take it for a segment
        self._size = 0

    def close(self) -> None:
        """Finish the segment; a later write starts another."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def waiting(folder: Path) -> int:
    """Return the bytes of all segments."""
    total = 0
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if entry.name.endswith(_SUFFIX):
                    total += entry.stat().st_size
    except FileNotFoundError:
        return total
    return total


class Segment:
    """One file of the spool, being read; frames come in the order in which they were written."""

    def __init__(self, path: Path) -> None:
        """Open `path`; raises FileNotFoundError when another reader has finished it."""
        self.path = path
        self._mark = path.with_suffix(_MARK)
        self._file = path.open("rb")
        try:
            self.position = int(self._mark.read_text())
        except (FileNotFoundError, ValueError):
            self.position = 0

    def frames(self) -> Iterator[list[tuple[Scope, SpanRecord]]]:
        """Yield the frames from `position` on, which moves behind each; the caller says `done` once they are safe.

        Ends at a frame that is not whole. A frame that is damaged is logged, and the rest of the segment skipped.
        """
        self._file.seek(self.position)
        while len(header := self._file.read(_HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(header)
            data = self._file.read(length) if length < _FRAME_BYTES else b""
            if len(data) < length and length < _FRAME_BYTES:
                return
            if zlib.crc32(data) != checksum or length >= _FRAME_BYTES:
                logger.error(
                    "a segment of the spool is damaged; its rest is skipped", extra={"at": self.position}
                )
                self.position = self.path.stat().st_size
                return
            self.position += _HEADER.size + length
            try:
                entries = _decoder.decode(data)
            except msgspec.DecodeError as error:
                logger.error("recorded spans of another version are skipped: %s", error)
                entries = []
            yield [(Scope(tenant, project), span) for tenant, project, span in entries]

    def done(self) -> None:
        """Remember `position`: everything before it is in the database."""
        self._mark.write_text(str(self.position))

    def ended(self) -> bool:
        """Whether its writer has closed it or died."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def remove(self) -> None:
        """Delete the segment, which is wholly in the database."""
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def segments(folder: Path) -> list[Path]:
    """Return the segments, oldest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def size_of(path: Path) -> int:
    """Return how many bytes a segment has; 0 when it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def reached(path: Path) -> int:
    """Return up to which byte a segment is in the database; all of one that is gone is."""
    try:
        return int(path.with_suffix(_MARK).read_text())
    except (FileNotFoundError, ValueError):
        return 0 if path.exists() else sys.maxsize
