"""Blobs: content-addressed objects, named by their SHA-256, in a folder or an object store."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from penstock.core.errors import Invalid, NotFound, StorageFull

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A stored object: its SHA-256 (64 hex digits) and its size in bytes."""

    sha256: str
    size: int


def _path(sha256: str) -> str:
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"


class Blobs:
    """A content-addressed store; writing the same bytes twice stores them once."""

    def __init__(self, location: str | Path) -> None:
        if isinstance(location, Path):
            location.mkdir(parents=True, exist_ok=True)
            self._store: Any = LocalStore(location)
        else:
            self._store = from_url(location)

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
        try:
            result = obstore.get(self._store, _path(sha256))
        except FileNotFoundError as error:
            raise NotFound(
                f"Blob {sha256[:12]}… is not in the store.", hint="Restore it from a backup."
            ) from error
        digest = hashlib.sha256()
        for chunk in result.stream(min_chunk_size=CHUNK):
            piece = bytes(chunk)
            digest.update(piece)
            yield piece
        if digest.hexdigest() != sha256:
            raise Invalid(f"Blob {sha256[:12]}… is damaged: its checksum does not match.", hint="Restore it.")

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
        try:
            obstore.delete(self._store, _path(sha256))
        except FileNotFoundError:
            return
