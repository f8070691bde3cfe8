"""Spans that wait on disk for a server that is away: one file per batch, oldest first, bounded, shared by processes.

A file is written under another name and then moved into place, so that a program killed at any moment leaves whole
batches only. Files are not forced onto the disk: they outlive the program, not a power cut. Sending a batch twice does
no harm, because the server knows spans by their ids.
"""

import contextlib
import hashlib
import importlib.util
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.sdk import clock, forks
from penstock.sdk.quiet import warn_once

_locks: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None
"""Not on Windows: two processes may send one file twice there, which the server sees through."""

LIMIT = 64 << 20
"""Bytes of all files of one folder; beyond that the oldest go."""
LONGEST_KEPT = 14 * 86_400
"""Seconds after which the folder of a server or key that is no longer used is emptied."""
LOCK_PATIENCE = 30.0
SUFFIX = ".spans"


def default_folder(url: str, api_key: str, project: str) -> Path:
    """Return the folder for one server and key, in the user's cache; spans of different keys never mix."""
    name = hashlib.sha256("\0".join((url, api_key, project)).encode()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path("~/.cache").expanduser()) / "penstock" / "spool" / name


class Spool:
    """A folder of batches. Made with the first batch; every method raises OSError when the disk refuses."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder, limit
        self.lost = 0
        """Spans that had to go because the folder was full; the owner reads and resets it."""
        self._last = 0
        self._lock_file: int | None = None
        self._counter = itertools.count()
        forks.watch(self)

    def after_fork(self) -> None:
        """Leave the parent's lock to the parent."""
        held, self._lock_file = self._lock_file, None
        if held is not None:
            os.close(held)

    def add(self, body: bytes, count: int) -> str:
        """Keep the encoded batch of `count` spans and return its name."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room(len(body))
        self._last = max(clock.now_ns(), self._last + 1)
        name = f"{self._last:020d}-{os.getpid()}-{next(self._counter)}-{count}{SUFFIX}"
        temporary = self.folder / f".{name}.part"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
            temporary.replace(self.folder / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return name

    def names(self) -> list[str]:
        """Return the batches, oldest first."""
        try:
            return sorted(entry.name for entry in os.scandir(self.folder) if entry.name.endswith(SUFFIX))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        """Return a batch, or None when another process has sent it meanwhile."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Forget a batch."""
        (self.folder / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Yield whether this process is the one that sends now."""
        if _locks is None:
            yield True
            return
        self._lock_file = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                _locks.flock(self._lock_file, _locks.LOCK_EX | _locks.LOCK_NB)
            except OSError:
                yield False
                return
            try:
                yield True
            finally:
                if self._lock_file is not None:
                    _locks.flock(self._lock_file, _locks.LOCK_UN)
        finally:
            held, self._lock_file = self._lock_file, None
            if held is not None:
                os.close(held)

    def tidy(self) -> None:
        """Remove what no program will send any more: unfinished files here, old ones in the neighbours' folders."""
        for file in self.folder.parent.glob(f"*/*{SUFFIX}*"):
            with contextlib.suppress(OSError):
                age = clock.now_ns() / 1e9 - file.stat().st_mtime
                unfinished = file.name.endswith(".part") and age > 3_600
                if unfinished or (age > LONGEST_KEPT and file.parent != self.folder):
                    file.unlink()

    def _make_room(self, wanted: int) -> None:
        sizes = {name: size for name in self.names() if (size := self._size(name)) is not None}
        total = sum(sizes.values()) + wanted
        for name, size in sizes.items():
            if total <= self.limit:
                return
            self.remove(name)
            self.lost += count_of(name)
            total -= size
            warn_once("spool-full", "the folder of waiting spans is full (%s): the oldest go", self.folder)

    def _size(self, name: str) -> int | None:
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return None


def count_of(name: str) -> int:
    """Return how many spans the batch of that name holds."""
    number = name.removesuffix(SUFFIX).rpartition("-")[2]
    return int(number) if number.isdigit() else 0
