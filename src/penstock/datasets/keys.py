"""Which rows have equal keys, in bounded memory: digests go to files by their first bits, then file by file.

The technique is a partitioned external sort (Knuth, TAOCP vol. 3, 5.4); what stays in memory is one
partition, 1/64 of 24 bytes per row.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from penstock.datasets.dedup import digest

PARTS = 64
_RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("position", "<u8")])
_HELD = 1 << 16
"""Records held in memory before they go to the files."""


class KeyFile:
    """The digests of all rows' keys, on disk when they are many; `repeats` tells which are not the first of a kind."""

    def __init__(self, folder: Path, name: str) -> None:
        self._paths = [folder / f"{name}-{part}.keys" for part in range(PARTS)]
        self._held = bytearray()
        self._spilled = False
        # A killed process may have left some.
        self.close()

    def add(self, position: int, value: bytes) -> None:
        """Note the key of the row at `position`; positions only grow."""
        self._held += digest(value) + position.to_bytes(8, "little")
        if len(self._held) >= _HELD * _RECORD.itemsize:
            self._spill()

    def _spill(self) -> None:
        records = np.frombuffer(bytes(self._held), dtype=_RECORD)
        self._held.clear()
        part = (records["high"] % PARTS).astype(np.int64)
        order = np.argsort(part, kind="stable")
        edges = np.searchsorted(part[order], np.arange(PARTS + 1))
        ordered = records[order]
        for number, path in enumerate(self._paths):
            with path.open("ab" if self._spilled else "wb") as file:
                file.write(ordered[edges[number] : edges[number + 1]].tobytes())
        self._spilled = True

    def repeats(self) -> "Repeats":
        """Return which rows repeat the key of an earlier row."""
        if not self._spilled:
            return Repeats(*_repeats(np.frombuffer(bytes(self._held), dtype=_RECORD)))
        self._spill()
        found = [_repeats(np.fromfile(path, dtype=_RECORD)) for path in self._paths]
        return Repeats(*(np.concatenate(part) for part in zip(*found, strict=True)))

    def close(self) -> None:
        """Remove the files."""
        for path in self._paths:
            path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Positions = npt.NDArray[np.int64]


class Repeats:
    """Rows whose key an earlier row has, in order: 24 bytes for each of them."""

    def __init__(self, positions: Positions, firsts: Positions, copies: Positions) -> None:
        order = np.argsort(positions)
        self.positions, self.firsts, self.copies = positions[order], firsts[order], copies[order]

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield (position, position of the first row with that key, which copy it is: 2, 3 …), by position."""
        for place in range(len(self.positions)):
            yield int(self.positions[place]), int(self.firsts[place]), int(self.copies[place])


def _repeats(records: npt.NDArray[np.void]) -> tuple[Positions, Positions, Positions]:
    """Return (position, first, copy) of every record that is not the first with its digest."""
    # Records are in the order of their positions and the sort is stable, so equal digests stay in that order.
    order = np.lexsort((records["low"], records["high"]))
    ordered = records[order]
    if not len(ordered):
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    opens = np.ones(len(ordered), dtype=bool)
    opens[1:] = (ordered["high"][1:] != ordered["high"][:-1]) | (ordered["low"][1:] != ordered["low"][:-1])
    place = np.arange(len(ordered))
    first = np.maximum.accumulate(np.where(opens, place, 0))
    again = ~opens
    positions = ordered["position"].astype(np.int64)
    return positions[again], positions[first[again]], (place - first)[again] + 1
