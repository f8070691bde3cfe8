"""Answers in this process: the least recently used go first once they take more than their share of memory."""

import threading
from collections import OrderedDict
from typing import NamedTuple

OVERHEAD = 400
"""Bytes an entry takes beside its body."""


class Entry(NamedTuple):
    """A kept answer. Times are epoch seconds."""

    body: bytes
    made: float
    expires: float


class Memory:
    """A bounded map of digests to answers; every method may be called by any thread."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes; 0 keeps nothing."""
        self._limit = limit
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0
        """Bytes held."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, now: float) -> Entry | None:
        """Return the answer, unless it has expired."""
        with self._lock:
            entry = self._entries.get(digest)
            if entry is None:
                return None
            if entry.expires <= now:
                self._remove(digest)
                return None
            self._entries.move_to_end(digest)
            return entry

    def put(self, digest: bytes, entry: Entry) -> None:
        """Keep an answer; others go to make room."""
        need = len(entry.body) + OVERHEAD
        with self._lock:
            self._remove(digest)
            if need > self._limit:
                return
            self._entries[digest] = entry
            self.size += need
            while self.size > self._limit:
                self._remove(next(iter(self._entries)))

    def drop(self, digest: bytes, older_than: float | None = None) -> None:
        """Forget an answer (only if it was made before `older_than`, when that is given)."""
        with self._lock:
            entry = self._entries.get(digest)
            if entry is not None and (older_than is None or entry.made < older_than):
                self._remove(digest)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._entries.clear()
            self.size = 0

    def _remove(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self.size -= len(entry.body) + OVERHEAD
