"""Blobs: content-addressed objects, named by their SHA-256, in a folder or an object store.

A blob that nobody needs is first set aside under another name, where a reader still finds it and a writer does not,
and deleted only from there (see `core.garbage`): nobody who found it stored a moment ago can lose it.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from penstock.core.errors import Invalid, NotFound, StorageFull

CHUNK = 1 << 20
_HEX_DIGITS = 64
_STORED, _ASIDE, _OWNERS = "sha256", "aside", "installations"


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A stored object: its SHA-256 (64 hex digits) and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A blob as the store lists it."""

    sha256: str
    size: int
    since: datetime
    """When it was written, or set aside."""


def _path(sha256: str) -> str:
    return f"{_STORED}/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _path_aside(sha256: str, since: datetime) -> str:
    return f"{_ASIDE}/{sha256[:2]}/{sha256}.{int(since.timestamp())}"


class Blobs:
    """A content-addressed store; writing the same bytes twice stores them once."""

    def __init__(self, location: str | Path) -> None:
        if isinstance(location, Path):
            location.mkdir(parents=True, exist_ok=True)
            self._store: Any = LocalStore(location)
        else:
            self._store = from_url(location)
        self._folder = Path(self._store.prefix or "/") if isinstance(self._store, LocalStore) else None

    def put_bytes(self, data: bytes) -> BlobRef:
        """Store `data`; returns its reference."""
        ref = BlobRef(hashlib.sha256(data).hexdigest(), len(data))
        self._put(ref, data)
        return ref

    def put_file(self, path: Path) -> BlobRef:
        """Store the file at `path`, reading it in pieces; returns its reference."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        ref = BlobRef(digest.hexdigest(), size)
        self._put(ref, path)
        return ref

    def _put(self, ref: BlobRef, source: bytes | Path) -> None:
        if self.exists(ref.sha256):
            return
        try:
            obstore.put(self._store, _path(ref.sha256), source)
        except AlreadyExistsError:
            return
        except (BaseError, OSError) as error:
            raise StorageFull(
                f"A blob of {ref.size} bytes could not be stored: {error}.",
                hint="Is the disk full or read-only?",
            ) from error

    def exists(self, sha256: str) -> bool:
        """Whether the object is stored."""
        try:
            obstore.head(self._store, _path(sha256))
        except FileNotFoundError:
            return False
        return True

    def stream(self, sha256: str) -> Iterator[bytes]:
        """Yield the object's bytes in pieces; raises NotFound, or Invalid when the bytes are not what the name says."""
        result = self._get(sha256)
        digest = hashlib.sha256()
        for chunk in result.stream(min_chunk_size=CHUNK):
            piece = bytes(chunk)
            digest.update(piece)
            yield piece
        if digest.hexdigest() != sha256:
            raise Invalid(f"Blob {sha256[:12]}… is damaged: its checksum does not match.", hint="Restore it.")

    def _get(self, sha256: str) -> Any:
        try:
            return obstore.get(self._store, _path(sha256))
        except FileNotFoundError:
            for kept in self.list_aside(sha256):
                self.take_back(kept)
        try:
            return obstore.get(self._store, _path(sha256))
        except FileNotFoundError as error:
            raise NotFound(
                f"Blob {sha256[:12]}… is not in the store.", hint="Restore it from a backup."
            ) from error

    def read(self, sha256: str) -> bytes:
        """Return the whole object, checked."""
        return b"".join(self.stream(sha256))

    def fetch(self, sha256: str, to: Path) -> None:
        """Write the object to the file `to`, checked; `to` appears only when whole."""
        temporary = to.with_name(f".{to.name}.{os.getpid()}.part")
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                for piece in self.stream(sha256):
                    file.write(piece)
            temporary.replace(to)
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self, sha256: str) -> None:
        """Remove the object; removing what is not there is fine."""
        self._remove(_path(sha256))

    def list_stored(self) -> Iterator[Stored]:
        """Yield every blob but those set aside."""
        for path, size, modified in self._listed(_STORED):
            name = path.rpartition("/")[2]
            if len(name) == _HEX_DIGITS:
                yield Stored(sha256=name, size=size, since=modified)

    def list_aside(self, sha256: str = "") -> Iterator[Stored]:
        """Yield the blobs that were set aside; with a name only those of that name."""
        for path, size, _ in self._listed(f"{_ASIDE}/{sha256[:2]}" if sha256 else _ASIDE):
            name, _, seconds = path.rpartition("/")[2].partition(".")
            if sha256 in ("", name):
                yield Stored(sha256=name, size=size, since=datetime.fromtimestamp(int(seconds), UTC))

    def set_aside(self, sha256: str, at: datetime) -> bool:
        """Take the blob out of the store but keep it for readers; False when it is not stored."""
        return self._move(_path(sha256), _path_aside(sha256, at))

    def take_back(self, kept: Stored) -> bool:
        """Put a blob that was set aside back into the store; False when it is gone."""
        return self._move(_path_aside(kept.sha256, kept.since), _path(kept.sha256))

    def delete_aside(self, kept: Stored) -> None:
        """Remove for good what was set aside; what was taken back meanwhile stays."""
        self._remove(_path_aside(kept.sha256, kept.since))

    def delete_halves(self, before: datetime) -> int:
        """Remove what writers that were killed left half-written before then; returns how many.

        An object store keeps such parts where it is told to (S3: a lifecycle rule for incomplete uploads).
        """
        if self._folder is None:
            return 0
        # The store writes NAME#NUMBER and renames it once it is whole.
        halves = [path for path in (self._folder / _STORED).glob("*/*/*#*") if _modified(path) < before]
        for path in halves:
            path.unlink(missing_ok=True)
        return len(halves)

    def add_owner(self, name: str) -> list[str]:
        """Record that the installation `name` keeps its blobs here; returns all that do."""
        path = f"{_OWNERS}/{name}"
        owners = {found.rpartition("/")[2] for found, _, _ in self._listed(_OWNERS)}
        if name not in owners:
            obstore.put(self._store, path, name.encode())
        return sorted(owners | {name})

    def _listed(self, prefix: str) -> Iterator[tuple[str, int, datetime]]:
        for some in obstore.list(self._store, prefix):
            for found in some:
                yield found["path"], found["size"], found["last_modified"]

    def _move(self, source: str, to: str) -> bool:
        try:
            obstore.rename(self._store, source, to)
        except FileNotFoundError:
            return False
        except BaseError:  # S3 copies nothing above 5 GB: such a blob is carried over through a file
            with tempfile.NamedTemporaryFile() as file:
                for piece in obstore.get(self._store, source).stream(min_chunk_size=CHUNK):
                    file.write(bytes(piece))
                file.flush()
                obstore.put(self._store, to, Path(file.name))
            self._remove(source)
        return True

    def _remove(self, path: str) -> None:
        try:
            obstore.delete(self._store, path)
        except FileNotFoundError:
            return


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)  # it became whole meanwhile
