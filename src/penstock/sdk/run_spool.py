"""What a tracked run has logged while the server was away: one file of JSON lines per run, and copies of its artifacts.

The file belongs to the process that locks it, which the system undoes when that process ends, however it ends. What is
left of a dead one is sent by the next program that tracks a run on the same server with the same key. Doing any line
twice equals doing it once, so that a file is sent from its start after a crash.
"""

import contextlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.sdk import clock
from penstock.sdk.config import Config
from penstock.sdk.spool import LONGEST_KEPT, default_folder

_locks: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None
"""Not on Windows, where files of dead processes stay until a program of the same run's key clears them by age."""

LIMIT = 64 << 20
"""Bytes of one run's lines."""
FILES_LIMIT = 1 << 30
"""Bytes of one run's copied artifacts."""
SUFFIX = ".run"
_OFF = frozenset({"0", "no", "off", "false", "never"})

Act = dict[str, Any]
"""One thing to tell the server, as JSON."""


def folder_for(config: Config) -> Path | None:
    """Return where runs wait: PENSTOCK_SPOOL, or a folder in the user's cache; None when that is `off`."""
    said = os.environ.get("PENSTOCK_SPOOL", "")
    if said.lower() in _OFF:
        return None
    own = default_folder(config.url, config.api_key, config.project)
    return (Path(said) / own.name if said else own) / "runs"


class RunSpool:
    """The waiting lines of one run. Every method raises OSError when the disk refuses."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f"{key}{SUFFIX}"
        self._copies = folder / f"{key}.files"
        self._copied = 0
        self._count = 0
        self._descriptor = -1
        self._read = 0

    def hold(self, *, make: bool) -> bool:
        """Open and lock the file; returns False when another process has it, or there is none and none is made."""
        if make:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | (os.O_CREAT if make else 0), 0o600)
        except FileNotFoundError:
            return False
        try:
            if _locks is not None:
                _locks.flock(descriptor, _locks.LOCK_EX | _locks.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        if not self.path.exists():  # its owner has sent it and taken it away meanwhile
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def add(self, act: Act) -> bool:
        """Append one act; returns False when the file is full."""
        line = json.dumps(act).encode() + b"\n"
        if os.fstat(self._descriptor).st_size + len(line) > LIMIT:
            return False
        os.write(self._descriptor, line)
        return True

    def next(self) -> tuple[Act, int] | None:
        """Return the oldest act that is not done and where the next one begins; None at the end.

        A last line without an end was cut off by a kill, and is left out.
        """
        with self.path.open("rb") as file:
            while True:
                file.seek(self._read)
                line = file.readline()
                if not line.endswith(b"\n"):
                    return None
                try:
                    return json.loads(line), self._read + len(line)
                except ValueError:
                    self._read += len(line)  # two halves, of a kill and of what came after

    def done(self, following: int) -> None:
        """Go on at `following`."""
        self._read = following

    def copy(self, source: Path) -> Path | None:
        """Keep a copy of an artifact; returns where, or None when there is no room for it."""
        size = source.stat().st_size
        if self._copied + size > FILES_LIMIT:
            return None
        self._copies.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._count += 1
        place = self._copies / str(self._count)
        shutil.copyfile(source, place)
        self._copied += size
        return place

    def remove(self) -> None:
        """Forget the run: everything is done."""
        self.path.unlink(missing_ok=True)
        shutil.rmtree(self._copies, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the file; it stays for the next process."""
        held, self._descriptor = self._descriptor, -1
        if held >= 0:
            os.close(held)


def left_behind(folder: Path) -> Iterator[RunSpool]:
    """Yield the runs that dead processes left, each held; very old ones are cleared away instead."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError):
            spool = RunSpool(folder, path.name.removesuffix(SUFFIX))
            old = clock.now_ns() / 1e9 - path.stat().st_mtime > LONGEST_KEPT
            if spool.hold(make=False):
                if old:
                    spool.remove()
                else:
                    yield spool
