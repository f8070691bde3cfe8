"""The gateway's way into the trace store: never waits, never grows without bound, survives a killed process."""

import threading
from collections import deque

from penstock.core import log
from penstock.core.errors import StorageFull
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.traces import spool
from penstock.traces.model import SpanRecord
from penstock.traces.settings import TracesSettings
from penstock.traces.spool import SpoolFull, SpoolWriter

logger = log.get("traces.recorder")
_GROUP, _GROUP_BYTES = 500, 4 << 20
"""Spans, and bytes of their bodies, that are written at once: a frame is a copy of them."""
_AGAIN_SECONDS = 0.5


class Recorder:
    """Takes finished spans without blocking; a thread puts them into the spool a moment later (see `intake`).

    The database is not touched, so that neither a lock nor an outage of it slows the caller or loses a span. At most
    `[traces] buffer_spans` with bodies of `buffer_mb` wait in memory and `spool_mb` on disk; spans beyond that are
    dropped, counted in `dropped` and logged.
    """

    def __init__(self, home: Home) -> None:
        settings = home.settings.section(TracesSettings)
        self._limit = settings.buffer_spans
        self._limit_bytes = settings.buffer_mb << 20
        self._linger = settings.commit_ms / 1000
        self._spool = SpoolWriter(spool.folder_of(home.path), limit=settings.spool_mb * 1024 * 1024)
        self._waiting: deque[tuple[Scope, SpanRecord]] = deque()
        self._came = self._went = 0
        """Bytes of bodies taken in, which the lock guards, and taken out, which the thread alone counts."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._idle = threading.Condition()
        self._unwritten = 0
        self.recorded = 0
        """Spans put into the spool so far."""
        self.dropped = 0
        """Spans lost so far: buffer or spool were full."""
        self._thread = threading.Thread(target=self._run, name="penstock-recorder", daemon=True)
        self._thread.start()

    def record(self, scope: Scope, span: SpanRecord) -> None:
        """Take `span` and return at once."""
        size = _size(span)
        with self._lock:
            full = len(self._waiting) >= self._limit or self._came - self._went + size > self._limit_bytes
            if full or self._closing.is_set():
                self.dropped += 1
                return
            self._came += size
            self._waiting.append((scope, span))
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything recorded before is in the spool or dropped; False when `timeout` seconds pass first."""
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting and not self._unwritten, timeout)

    def close(self) -> None:
        """Write what waits and stop; later spans are dropped."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        self._spool.close()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(self._linger)
            self._wake.clear()
            while self._waiting:
                self._write()
            if self._closing.is_set() and not self._waiting:
                return

    def _write(self) -> None:
        taken: list[tuple[Scope, SpanRecord]] = []
        size = 0
        with self._idle:
            while self._waiting and len(taken) < _GROUP and size < _GROUP_BYTES:
                taken.append(self._waiting.popleft())
                size += _size(taken[-1][1])
            self._unwritten = len(taken)
        kept = self._kept(taken)
        self._went += size
        with self._idle:
            self._unwritten = 0
            self.recorded += kept
            self.dropped += len(taken) - kept
            self._idle.notify_all()

    def _kept(self, taken: list[tuple[Scope, SpanRecord]]) -> int:
        """Write `taken`; returns how many are in the spool. While the disk is full, waits for it to have room."""
        while True:
            try:
                self._spool.write(taken)
                return len(taken)
            except StorageFull as error:
                logger.error("spans wait in memory: %s", error)
                if self._closing.wait(_AGAIN_SECONDS):
                    return 0
            except SpoolFull as error:
                logger.error("spans are dropped: %s", error, extra={"spans": len(taken)})
                return 0
            except Exception:
                if len(taken) == 1:
                    logger.exception("a span cannot be recorded", extra={"span": taken[0][1].span_id})
                    return 0
                return sum(self._kept([one]) for one in taken)


def _size(span: SpanRecord) -> int:
    return len(span.input or b"") + len(span.output or b"")
