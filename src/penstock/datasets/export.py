"""Rows out of a version: to files, and the list of rows that were left out."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from penstock.core.blobs import Blobs
from penstock.core.disk import storage_error
from penstock.core.errors import Conflict
from penstock.datasets.model import LeftOut, Row

_decode_left_out = msgspec.json.Decoder(LeftOut).decode


def write(rows: Iterable[Row], columns: Sequence[str], to: Path, *, format: Literal["jsonl", "csv"]) -> int:
    """Write the rows to a new file; returns how many. Raises Conflict when it exists, StorageFull."""
    if to.exists():
        raise Conflict(f"{to} exists already.", hint="Remove it, or choose another name.")
    count = 0
    temporary = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if format == "csv":
                writer.writerow(columns)
            for row in rows:
                count += 1
                if format == "csv":
                    writer.writerow([_cell(row[name]) for name in columns])
                else:
                    file.write(msgspec.json.encode(row).decode() + "\n")
        temporary.replace(to)
    except OSError as error:
        full = storage_error(error, to.parent)
        if full is None:
            raise
        raise full from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _cell(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict | bool) else value


def left_out(
    blobs: Blobs, sha256: str, *, step: str | None, limit: int | None, offset: int
) -> Iterator[LeftOut]:
    """Yield the entries of a left-out list, of one step or all."""
    if not sha256:
        return
    found = (_decode_left_out(line) for line in _lines(blobs.stream(sha256)))
    chosen = (entry for entry in found if step is None or entry.step == step)
    yield from islice(chosen, offset, None if limit is None else offset + limit)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest
