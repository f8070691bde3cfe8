"""Rows on disk between the passes over them, so that memory does not grow with the source."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from penstock.core.errors import Upstream
from penstock.datasets.model import Row

INTERRUPTED = (Upstream, KeyboardInterrupt)
"""What ends an ingest that may go on later where it was."""
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(tuple[int, dict[str, Any]]).decode


def canonical(row: Row) -> bytes:
    """Return the row's one JSON form: names sorted, nulls left out."""
    return _canonical({name: value for name, value in row.items() if value is not None})


class Spool:
    """A temporary file of numbered rows: write once, read as often as needed, gone when closed.

    One that may be kept stays when the block around it ends with something INTERRUPTED.
    """

    def __init__(self, folder: Path, name: str, *, keep: bool = False) -> None:
        """Open the file; with `keep`, what an earlier process left in it is there until `begin`."""
        self.folder = folder
        self._path = folder / f"{name}.spool"
        self._path.touch()
        self._file: IO[bytes] | None = self._path.open("r+b" if keep else "wb", buffering=1 << 18)
        self._keep = keep
        self.count = 0

    @property
    def size(self) -> int:
        """Return the bytes that are in the file."""
        return self._path.stat().st_size

    def begin(self, *, size: int = 0, count: int = 0) -> None:
        """Go on behind the first `size` bytes, which hold `count` rows; forget what an earlier process left after."""
        if self._file is None:
            raise ValueError("the spool was read already")
        self._file.truncate(size)
        self._file.seek(size)
        self.count = count

    def append(self, number: int, row: Row) -> None:
        """Write a row with the line it came from."""
        if self._file is None:
            raise ValueError("the spool was read already")
        self._file.write(_encode((number, row)) + b"\n")
        self.count += 1

    def extend(self, rows: Iterable[tuple[int, Row]]) -> None:
        """Write rows."""
        for number, row in rows:
            self.append(number, row)

    def flush(self) -> int:
        """Hand everything to the operating system; returns the file's size."""
        if self._file is None:
            return self._path.stat().st_size
        self._file.flush()
        return self._file.tell()

    def drop(self, positions: Iterable[int]) -> None:
        """Take out the rows at these positions, counted from 0 and growing."""
        self._finish()
        rest, kept = iter(positions), 0
        unwanted = next(rest, None)
        smaller = self._path.with_suffix(".smaller")
        with self._path.open("rb", buffering=1 << 18) as old, smaller.open("wb", buffering=1 << 18) as new:
            for position, line in enumerate(old):
                if position == unwanted:
                    unwanted = next(rest, None)
                else:
                    new.write(line)
                    kept += 1
        smaller.replace(self._path)
        self.count = kept

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        self._finish()
        with self._path.open("rb", buffering=1 << 18) as file:
            for line in file:
                yield _decode(line)

    def _finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Remove the file."""
        self._finish()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keep and isinstance(error, INTERRUPTED):
            self._finish()
        else:
            self.close()
