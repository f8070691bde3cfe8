"""Which answers a table holds, in memory of a fixed size: digests and when they expire, nothing else."""

import mmap

WAYS = 8
"""Places that a digest may take."""
_KEY, _TIME = 8, 4
ENTRY_BYTES = _KEY + _TIME
_MOST_SECONDS = (1 << 32) - 1


class Digests:
    """A bounded map of digests to expiry times; of those that share places the one that expires first gives way.

    One thread adds and drops while others look: a look beside a change may miss a digest, which is then asked for in
    vain once, and never finds one that was not added, but for two digests with the same first 8 bytes.
    """

    def __init__(self, most: int) -> None:
        """Make room for `most` digests, rounded up to a power of two; pages are taken from the system as they fill."""
        self._groups = 1 << max(0, (max(most, WAYS) // WAYS - 1).bit_length())
        self.clear()

    @property
    def room(self) -> int:
        """How many digests there are places for."""
        return self._groups * WAYS

    def clear(self) -> None:
        """Forget all."""
        places = self._groups * WAYS
        self._keys = memoryview(mmap.mmap(-1, places * _KEY)).cast("Q")
        self._times = memoryview(mmap.mmap(-1, places * _TIME)).cast("I")

    def add(self, digest: bytes, expires_ms: int) -> None:
        """Note that the answer of `digest` is there until `expires_ms` (epoch)."""
        key, first = self._place(digest)
        keys, times = self._keys[first : first + WAYS].tolist(), self._times[first : first + WAYS].tolist()
        place = first + (keys.index(key) if key in keys else times.index(min(times)))
        self._times[place] = 0  # so that nobody takes the new key with the old one's time
        self._keys[place] = key
        self._times[place] = min(max(0, -(-expires_ms // 1000)), _MOST_SECONDS)

    def drop(self, digest: bytes) -> None:
        """Forget a digest."""
        key, first = self._place(digest)
        keys = self._keys[first : first + WAYS].tolist()
        if key in keys:
            self._times[first + keys.index(key)] = 0

    def holds(self, digest: bytes, now: float) -> bool:
        """Whether the digest was added and has not expired at `now` (epoch seconds; up to a second late)."""
        key, first = self._place(digest)
        keys = self._keys[first : first + WAYS].tolist()
        return key in keys and self._times[first + keys.index(key)] > now

    def _place(self, digest: bytes) -> tuple[int, int]:
        key = int.from_bytes(digest[:8], "little") or 1  # 0 is an empty place
        return key, (key & (self._groups - 1)) * WAYS
