"""Turning a version's blobs back into a folder, whole or not at all."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.blobs import CHUNK
from penstock.core.errors import Conflict, Invalid, NotFound, Unavailable
from penstock.core.home import Home, exclusive
from penstock.registry.model import FileEntry, ModelVersion

_CACHE = ("cache", "models")


def cached(home: Home, version: ModelVersion) -> Path:
    """Return the version's read-only folder in the home's cache, making it if need be.

    Every byte is checked against its SHA-256 while it is written, and sizes and times of the files afterwards; a
    folder that was touched is made again. Processes that ask at the same moment wait for one another, and a process
    killed meanwhile leaves nothing that counts. Raises Unavailable when a stored file is missing or damaged.
    """
    cache = home.folder(*_CACHE)
    target, stamp = cache / version.digest, cache / f"{version.digest}.json"
    with exclusive(cache / f"{version.digest}.lock", wait=True):
        if not _untouched(target, stamp):
            shutil.rmtree(target, ignore_errors=True)
            _build(home, version, target, mode=0o400)
            stamp.write_bytes(msgspec.json.encode(_state(target)))
    return target


def copied(home: Home, version: ModelVersion, to: Path) -> Path:
    """Write the version into the new (or empty) folder `to`, checked; raises Conflict when it holds something."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Conflict(f"{to} exists and is not an empty folder.", hint="Choose another folder.")
    to.parent.mkdir(parents=True, exist_ok=True)
    _build(home, version, to, mode=0o600)
    return to


def damage(home: Home, entry: FileEntry) -> str:
    """Return what is wrong with a stored file, after reading every byte of it; empty: nothing."""
    try:
        for _ in home.blobs.stream(entry.sha256):
            pass
    except (NotFound, Invalid) as error:
        return error.message
    return ""


def entry_of(name: str, file: Path) -> FileEntry:
    """Return the entry of a file on the disk, read in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(CHUNK):
            digest.update(piece)
    return FileEntry(path=name, sha256=digest.hexdigest(), size=file.stat().st_size)


def _state(folder: Path) -> dict[str, Any]:
    return {
        path.relative_to(folder).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _untouched(target: Path, stamp: Path) -> bool:
    if not target.is_dir() or not stamp.is_file():
        return False
    try:
        return bool(msgspec.json.decode(stamp.read_bytes()) == _state(target))
    except msgspec.DecodeError:
        return False


def _build(home: Home, version: ModelVersion, target: Path, *, mode: int) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for entry in version.files:
            path = part / entry.path
            try:
                home.blobs.fetch(entry.sha256, path)
            except (NotFound, Invalid) as error:
                raise Unavailable(
                    f"The file {entry.path} of {version.ref} cannot be restored: {error.message}",
                    hint="Restore the blob from a backup, or register the model's files again.",
                    details={"file": entry.path, "sha256": entry.sha256},
                ) from error
            path.chmod(mode)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
