"""The answers that all processes of a home share: a table, written and watched by one thread per process.

Nothing here is on a call's path but looking into two tables and appending to a bounded queue.
"""

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

import zstandard

from penstock.core import clock, log
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway.cache import store
from penstock.gateway.cache.digests import Digests
from penstock.gateway.cache.memory import Entry, Memory
from penstock.gateway.cache.model import CachePolicy
from penstock.gateway.cache.nearest import Nearest
from penstock.gateway.cache.store import Known, Row
from penstock.gateway.outage import Outage

TOPIC = "gateway_cache"
PURGE_TOPIC = "gateway_cache_purge"
POLL_SECONDS = 0.5
TOUCH_SECONDS = 10.0
EVICT_SECONDS = 30.0
PAGE = 2_000
OVERLAP = 256
"""Rows looked at again on PostgreSQL, where a smaller id may be committed after a larger one; SQLite has one writer."""
QUEUE_BYTES = 16 * 1024 * 1024
BATCH_ROWS = 200
MAX_TOUCHED = 20_000
MAX_KNOWN = 1 << 22
TYPICAL_BYTES = 1024
"""What a short answer takes in the table; of more than fit by this measure, those that expire first are not known."""
_log = log.get("gateway")


def pack(bodies: Iterable[bytes]) -> list[bytes]:
    """Return bodies as they are stored."""
    held: list[Any] = list(bodies)  # any buffers, as the library says of its own
    if not held:
        return []
    # One call for all: between any two, other threads would be let in and waited for.
    packed = zstandard.ZstdCompressor(level=3).multi_compress_to_buffer(held)
    return [packed[place].tobytes() for place in range(len(packed))]


def unpack(stored: bytes) -> bytes:
    """Return the body of a stored answer."""
    return zstandard.ZstdDecompressor().decompress(stored)


class Shared:
    """The table of a home as one process sees it."""

    def __init__(self, home: Home, memory: Memory, nearest: Nearest, *, limit_bytes: int) -> None:
        self._home = home
        self._memory = memory
        self._nearest = nearest
        self._limit = limit_bytes
        self._outage = Outage(_log, "the shared cache is out of reach, memory goes on")
        self._overlap = 0 if home.db.sqlite else OVERLAP
        self.policies: dict[Scope, dict[str, CachePolicy]] = {}
        """Swapped whole when they change."""
        self._known = Digests(min(MAX_KNOWN, limit_bytes // TYPICAL_BYTES))
        """What the table holds."""
        self._seen: set[int] = set()
        """The last ids looked at, so that looking again at them does nothing twice."""
        self._last = 0
        self._revisions: tuple[int, ...] = (-1, -1)
        self._queue: deque[tuple[Row, int]] = deque()
        self._queued = 0
        self._touched: set[bytes] = set()
        self._touched_at = self._evicted_at = clock.monotonic()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def start(self) -> None:
        """Read the policies and what the table holds, then keep watching; raises what reading raises."""
        if self._thread is None:
            self.look()
            self._thread = threading.Thread(target=self._run, name="penstock-cache", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=20)
            self._thread = None

    # -- on a call's path ----------------------------------------------------------------------------------

    def holds(self, digest: bytes, now: float) -> bool:
        """Whether the table has an answer of that digest (now and then it has just lost it)."""
        return self._known.holds(digest, now)

    def used(self, digest: bytes) -> None:
        """Note that an answer was given again."""
        if len(self._touched) < MAX_TOUCHED:
            self._touched.add(digest)

    def put(self, row: Row) -> None:
        """Queue an answer (`row.body` not packed yet) for the table; what the queue has no room for is dropped."""
        size = len(row.body) + len(row.vector or b"")
        with self._lock:
            if self._queued + size > QUEUE_BYTES:
                self.dropped += 1
                return
            self._queue.append((row, size))
            self._queued += size

    # -- in threads ----------------------------------------------------------------------------------------

    def load(self, scope: Scope, digest: bytes) -> Entry | None:
        """Read an answer from the table into memory; raises what reading raises."""
        with self._home.read() as uow:
            found = store.find(uow.conn, scope, digest)
        if found is None:
            self._known.drop(digest)
            return None
        entry = Entry(unpack(found.body), found.made_ms / 1000, found.expires_ms / 1000)
        self._memory.put(digest, entry)
        return entry

    def look(self) -> None:
        """See what other processes changed; raises what reading raises."""
        revisions = self._home.revisions(TOPIC, PURGE_TOPIC)
        if revisions != self._revisions:
            if revisions[1] != self._revisions[1] and self._revisions[1] >= 0:
                self._forget()
            with self._home.read() as uow:
                self.policies = store.all_policies(uow.conn)
            self._revisions = revisions
        if not self.policies and not self._last:
            return  # nobody keeps anything: one cheap look a round is all this costs
        while True:
            with self._home.read() as uow:
                rows = store.known_after(uow.conn, max(0, self._last - self._overlap), PAGE + self._overlap)
            fresh = [row for row in rows if row.id not in self._seen]
            for row in fresh:
                self._learn(row)
            self._seen = {row.id for row in rows[-2 * OVERLAP :]}
            if len(rows) < PAGE + self._overlap or not fresh:
                return

    def _learn(self, row: Known) -> None:
        self._known.add(row.digest, row.expires_ms)
        self._memory.drop(row.digest, older_than=row.made_ms / 1000)
        if row.bucket is not None and row.vector is not None:
            self._nearest.add_stored(bytes(row.bucket), bytes(row.digest), bytes(row.vector))
        self._last = max(self._last, row.id)

    def _forget(self) -> None:
        self._memory.clear()
        self._nearest.clear()
        self._known.clear()
        self._seen = set()
        self._last = 0

    def write(self) -> None:
        """Write what is queued; raises what writing raises, and then keeps it queued."""
        with self._writing:
            self._write_all()

    def _write_all(self) -> None:
        while True:
            with self._lock:
                taken = [self._queue[place] for place in range(min(BATCH_ROWS, len(self._queue)))]
            if not taken:
                return
            bodies = pack(row.body for row, _ in taken)
            packed = [row._replace(body=body) for (row, _), body in zip(taken, bodies, strict=True)]
            with self._home.begin() as uow:
                stored = store.write(uow.conn, packed)
            if (
                stored and stored[0].id == self._last + 1
            ):  # else another process wrote, too: they are read together
                for known in stored:
                    self._learn(known)
            with self._lock:
                for _, size in taken:
                    self._queue.popleft()
                    self._queued -= size

    def tidy(self) -> None:
        """Note uses and make room, each when it is due; raises what writing raises."""
        now = clock.monotonic()
        if self._touched and now - self._touched_at > TOUCH_SECONDS:
            touched, self._touched = self._touched, set()
            self._touched_at = now
            with self._home.begin() as uow:
                store.touch(uow.conn, list(touched), clock.now_ns() // 1_000_000)
        if now - self._evicted_at > EVICT_SECONDS and self._last:
            self._evicted_at = now
            self.evict()

    def evict(self) -> int:
        """Delete what has expired and what is beyond the bound; returns how many answers went."""
        with self._home.begin() as uow:
            return store.evict(uow.conn, clock.now_ns() // 1_000_000, self._limit)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(POLL_SECONDS)
            self._round()
        self._round()  # what came in during the last one

    def _round(self) -> None:
        try:
            self.write()
            self.look()
            self.tidy()
            self._outage.over()
        except PenstockError as error:
            self._outage.failed(error)
        except Exception:  # noqa: BLE001 - a thread that dies would stop the cache for good
            _log.exception("the shared cache failed, memory goes on")
