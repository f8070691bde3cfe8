"""Rows on disk between the passes over them, so that memory does not grow with the source."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from penstock.datasets.model import Row

_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(tuple[int, dict[str, Any]]).decode


def canonical(row: Row) -> bytes:
    """Return the row's one JSON form: names sorted, nulls left out."""
    return _canonical({name: value for name, value in row.items() if value is not None})


class Spool:
    """A temporary file of numbered rows: write once, read as often as needed, gone when closed."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.spool"
        self._file: IO[bytes] | None = self._path.open("wb", buffering=1 << 18)
        self.count = 0

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
        self.close()
