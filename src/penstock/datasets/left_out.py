"""The list of rows that are left out of a version, as it is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from penstock.datasets.model import LeftOut

READ = "read"
"""Step name of malformed records."""
EXPECTATIONS = "expectations"
"""Step name of rows that did not meet an expectation."""


class LeftOutLog:
    """Writes down every row that is left out, and counts them by what left them out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bad = self.removed = self.unmet = 0
        self._file: IO[bytes] | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the file open; it is gone when the block ends, unless the process is killed."""
        self.path.touch()
        with self.path.open("r+b") as self._file:
            yield
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Finish the file: nothing more is added."""
        if self._file is not None:
            self._file.close()

    @property
    def size(self) -> int:
        """Return the bytes that are in the file."""
        return self.path.stat().st_size

    def begin(self, *, size: int = 0, bad: int = 0) -> None:
        """Go on behind the first `size` bytes, which list `bad` malformed records; forget the rest."""
        if self._file is not None:
            self._file.truncate(size)
            self._file.seek(size)
        self.bad = bad

    def flush(self) -> int:
        """Hand everything to the operating system; returns the file's size."""
        if self._file is None or self._file.closed:
            return self.path.stat().st_size
        self._file.flush()
        return self._file.tell()

    def add(self, row: LeftOut) -> None:
        """Write a row."""
        if row.step == READ:
            self.bad += 1
        elif row.step == EXPECTATIONS:
            self.unmet += 1
        else:
            self.removed += 1
        if self._file is not None:
            self._file.write(msgspec.json.encode(row) + b"\n")
