"""One thread that writes spans: what waits together is committed together."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from penstock.core import clock, log
from penstock.core.errors import PenstockError, Unavailable
from penstock.core.home import Home
from penstock.traces.settings import TracesSettings
from penstock.traces.store.logs import PreparedLog
from penstock.traces.store.metrics import PreparedPoint, write_points
from penstock.traces.store.prepare import Prepared
from penstock.traces.store.write import ScopeIds, Writing

logger = log.get("traces.writer")
_GROUP = 2000
"""Spans per transaction at most, so that other writers are not kept waiting long."""
_TRIES, _PAUSE = 5, 0.05

Item = Prepared | PreparedLog | PreparedPoint
Done = Callable[[BaseException | None], None]
"""Called by the writer's thread once the spans are on disk (None) or certainly not (the error)."""


def write(home: Home, known: ScopeIds, batch: Sequence[Item]) -> None:
    """Write `batch` durably in one transaction, trying again while the database is only busy.

    Raises StorageFull, Busy or Unavailable; nothing of the batch was stored then.
    """
    room = home.settings.section(TracesSettings).metric_series
    for attempt in range(1, _TRIES + 1):
        try:
            with home.begin() as uow:
                writing = Writing(uow.conn, known)
                writing.write(
                    [item for item in batch if isinstance(item, Prepared)],
                    [item for item in batch if isinstance(item, PreparedLog)],
                )
                points = [item for item in batch if isinstance(item, PreparedPoint)]
                if points:
                    write_points(uow.conn, writing.scope_id, points, room=room)
            writing.settle()
            return
        except PenstockError as error:
            if error.code not in ("busy", "unavailable") or attempt == _TRIES:
                raise
            threading.Event().wait(_PAUSE * 2**attempt)


class Writer:
    """Takes batches from any thread and writes them in groups.

    A group waits at most `linger` seconds for company, and not at all when the one before has just been written.
    """

    def __init__(self, home: Home, *, linger: float) -> None:
        self._home = home
        self._linger = linger
        self._known = ScopeIds()
        self._queue: deque[tuple[Sequence[Item], Done]] = deque()
        self._ready = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="penstock-traces-writer", daemon=True)
        self._thread.start()

    def submit(self, batch: Sequence[Item], done: Done) -> None:
        """Queue `batch`; `done` is told when it is durable. Raises Unavailable after `close`."""
        with self._ready:
            if self._closing:
                raise Unavailable("The trace writer is shutting down.", retry_after=1)
            self._queue.append((batch, done))
            self._ready.notify()

    def close(self) -> None:
        """Write what is queued and stop."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            self._write_group(group)

    def _next_group(self) -> list[tuple[Sequence[Item], Done]] | None:
        with self._ready:
            while not self._queue:
                if self._closing:
                    return None
                self._ready.wait()
        if self._linger and not self._closing:
            deadline = clock.monotonic() + self._linger
            with self._ready:
                while not self._closing and (left := deadline - clock.monotonic()) > 0:
                    self._ready.wait(left)
        group: list[tuple[Sequence[Item], Done]] = []
        size = 0
        with self._ready:
            while self._queue and (not group or size + len(self._queue[0][0]) <= _GROUP):
                group.append(self._queue.popleft())
                size += len(group[-1][0])
        return group

    def _write_group(self, group: list[tuple[Sequence[Item], Done]]) -> None:
        try:
            write(self._home, self._known, [item for batch, _ in group for item in batch])
        except Exception as error:
            if len(group) > 1 and not _of_the_database(error):
                # One of them cannot be written: it must not take the others with it.
                for one in group:
                    self._write_group([one])
                return
            logger.exception("what was sent could not be written", extra={"batches": len(group)})
            failure: BaseException | None = error
        else:
            failure = None
        for _, done in group:
            done(failure)


def _of_the_database(error: Exception) -> bool:
    """Whether every batch would have failed: no room, no lock, no connection."""
    return isinstance(error, PenstockError) and error.code in ("busy", "unavailable", "storage_full")
