"""The vectors of kept answers, one bounded bucket per set of requests that may stand for one another."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.deferred import deferred

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred("numpy")

BUCKET_VECTORS = 1_024
ALL_VECTORS = 8_192


def packed(vector: Any) -> bytes:
    """Return a vector as it is stored: half precision, which moves a cosine by less than 0.001."""
    return bytes(np.asarray(vector, dtype=np.float16).tobytes())


class Near(NamedTuple):
    """The most similar request of a bucket."""

    digest: bytes
    similarity: float


class _Bucket:
    __slots__ = ("_next", "digests", "matrix", "places")

    def __init__(self, dimensions: int) -> None:
        self.matrix = np.zeros((8, dimensions), dtype=np.float32)
        self.digests: list[bytes] = []
        self.places: dict[bytes, int] = {}
        self._next = 0

    def add(self, digest: bytes, vector: Any) -> None:
        """Take a vector in; beyond the bound the oldest gives way."""
        place = self.places.get(digest)
        if place is None and len(self.digests) < BUCKET_VECTORS:
            place = len(self.digests)
            if place == len(self.matrix):
                self.matrix = np.concatenate([self.matrix, np.zeros_like(self.matrix)])[:BUCKET_VECTORS]
            self.digests.append(digest)
        elif place is None:
            place, self._next = self._next, (self._next + 1) % BUCKET_VECTORS
            self.places.pop(self.digests[place], None)
            self.digests[place] = digest
        self.places[digest] = place
        self.matrix[place] = vector


class Nearest:
    """Finds the most similar request by exact search; every method may be called by any thread."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(len(bucket.digests) for bucket in self._buckets.values())

    def add(self, bucket: bytes, digest: bytes, vector: Any) -> None:
        """Take in the unit `vector` of a kept answer; buckets not used for long give way."""
        with self._lock:
            found = self._buckets.get(bucket)
            if found is None or found.matrix.shape[1] != len(vector):
                found = self._buckets[bucket] = _Bucket(len(vector))
            self._buckets.move_to_end(bucket)
            found.add(digest, vector)
            while len(self._buckets) > 1 and len(self) > ALL_VECTORS:
                self._buckets.popitem(last=False)

    def add_stored(self, bucket: bytes, digest: bytes, stored: bytes) -> None:
        """Take in a vector as `packed` wrote it."""
        self.add(bucket, digest, np.frombuffer(stored, dtype=np.float16).astype(np.float32))

    def find(self, bucket: bytes, vector: Any, threshold: float) -> list[Near]:
        """Return the requests of `bucket` at least as similar as `threshold`, the nearest first, five at most."""
        with self._lock:
            found = self._buckets.get(bucket)
            if found is None or found.matrix.shape[1] != len(vector):
                return []
            self._buckets.move_to_end(bucket)
            similar = found.matrix[: len(found.digests)] @ vector
            order = np.argsort(-similar)[:5]
            return [
                Near(found.digests[place], min(1.0, float(similar[place])))
                for place in order
                if similar[place] >= threshold
            ]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._buckets.clear()
