"""The gateway's way into the trace store: never waits, never grows without bound."""

import threading
from collections import deque

from penstock.core import log
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.traces.model import SpanRecord
from penstock.traces.pricing import PriceTable
from penstock.traces.settings import TracesSettings
from penstock.traces.store.prepare import Prepared, prepare
from penstock.traces.store.write import ScopeIds
from penstock.traces.writer import write

logger = log.get("traces.recorder")
_GROUP = 1000


class Recorder:
    """Takes finished spans without blocking; a thread packs and commits them a moment later.

    At most `[traces] buffer_spans` wait in memory. Spans beyond that, and spans the database refuses for good, are
    dropped, counted in `dropped` and logged.
    """

    def __init__(self, home: Home) -> None:
        settings = home.settings.section(TracesSettings)
        self._home = home
        self._limit = settings.buffer_spans
        self._linger = settings.commit_ms / 1000
        self._known = ScopeIds()
        self._prices = PriceTable(home)
        self._waiting: deque[tuple[Scope, SpanRecord]] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._idle = threading.Condition(self._lock)
        self._unwritten = 0
        self.recorded = 0
        """Spans committed so far."""
        self.dropped = 0
        """Spans lost so far: the buffer was full, or the database refused them."""
        self._thread = threading.Thread(target=self._run, name="penstock-recorder", daemon=True)
        self._thread.start()

    def record(self, scope: Scope, span: SpanRecord) -> None:
        """Take `span` and return at once; a call of a model gets the project's own price if it set one."""
        with self._lock:
            if self._unwritten >= self._limit or self._closing.is_set():
                self.dropped += 1
                return
            self._waiting.append((scope, span))
            self._unwritten += 1
        self._wake.set()

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything recorded before is committed or dropped; False when `timeout` seconds pass first."""
        with self._idle:
            return self._idle.wait_for(lambda: self._unwritten == 0, timeout)

    def close(self) -> None:
        """Commit what waits and stop; later spans are dropped."""
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(self._linger)
            self._wake.clear()
            while self._waiting:
                self._commit()
            if self._closing.is_set() and not self._waiting:
                return

    def _commit(self) -> None:
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
        kept = 0
        try:
            batch = self._prepared(taken)
            write(self._home, self._known, batch)
            kept = len(batch)
        except Exception:
            logger.exception("recorded spans were dropped", extra={"spans": len(taken)})
        with self._idle:
            self.recorded += kept
            self.dropped += len(taken) - kept
            self._unwritten -= len(taken)
            self._idle.notify_all()

    def _prepared(self, taken: list[tuple[Scope, SpanRecord]]) -> list[Prepared]:
        batch = []
        for scope, span in taken:
            try:
                batch.append(prepare(scope, self._prices.priced(scope, span)))
            except Exception:
                logger.exception("a span cannot be stored", extra={"span": span.span_id})
        return batch
