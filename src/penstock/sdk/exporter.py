"""Sends finished spans from a background thread: never blocks the program, never breaks it, forgets only when full.

While the server is away, batches go into the spool (a folder) where there is one, and are sent oldest first once it is
back; without one they wait in memory. A full queue drops its oldest spans, with one warning and a count.
"""

import atexit
import contextlib
import sys
import threading
from collections import deque
from typing import Any, Protocol

from penstock.sdk import clock, forks, otlp
from penstock.sdk.errors import ApiError, ConnectionFailed
from penstock.sdk.quiet import fault, logger, warn_once
from penstock.sdk.spool import LOCK_PATIENCE, Spool, count_of
from penstock.sdk.transport import RETRIED_STATUS, Sender

CAPACITY = 10_000
"""Spans waiting in memory at most."""
CAPACITY_BYTES = 64 << 20
"""About how many bytes they may hold."""
BATCH = 256
BATCH_BYTES = 2 << 20
LINGER = 0.5
"""Seconds a span waits for company."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 300.0
FLUSH_PAUSE = 0.2
LOCK_PAUSE = 0.05
EXIT_PATIENCE = 3.0
"""Seconds the program's end waits for the last spans."""


class Sized(Protocol):
    """What can be queued: a span of ours, or another library's that knows its encoding."""

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        ...


def _nobody() -> None:
    """The parent of a process that multiprocessing did not start."""


class Exporter:
    """A bounded queue and the thread that empties it into `/v1/traces`. One per process and server."""

    def __init__(
        self,
        transport: Sender,
        *,
        encoder: otlp.Encoder | None = None,
        spool: Spool | None = None,
        capacity: int = CAPACITY,
        capacity_bytes: int = CAPACITY_BYTES,
    ) -> None:
        self._transport = transport
        self._encoder = encoder or otlp.Encoder({})
        self._spool = spool
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._exit_hook = False
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        """Start empty: a forked child has neither the thread nor any business with its parent's spans."""
        self.dropped = 0
        """Spans lost: the queue or the folder was full, or the server refused them."""
        self._lock = threading.RLock()  # re-entrant: the garbage collector may end a span inside `put`
        self._wake = threading.Condition(self._lock)
        self._idle = False
        self._waiting: deque[Any] = deque()
        self._bytes = 0
        self._sending: list[Any] = []
        self._own: dict[str, int] = {}
        self._unsent = 0
        self._flushing = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._resume_at = 0.0
        self._pause = 0.0
        self._asked_to_wait = False
        self._spooled = False
        self._locked_out = 0.0

    def put(self, span: Any) -> None:
        """Queue one finished span; returns at once."""
        size = span.size
        with self._lock:
            while self._waiting and (
                len(self._waiting) >= self._capacity or self._bytes + size > self._capacity_bytes
            ):
                self._drop(self._waiting.popleft())
            self._waiting.append(span)
            self._bytes += size
            self._unsent += 1
            if self._closed:
                self._put_away()
            elif self._thread is None:
                self._start()
            elif self._idle or len(self._waiting) == BATCH or self._bytes >= BATCH_BYTES:
                self._idle = False
                self._wake.notify_all()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything put so far was sent or refused; return whether that happened in `timeout` seconds."""
        deadline = clock.monotonic() + timeout
        with self._wake:
            self._flushing += 1
            if not self._asked_to_wait:
                self._resume_at = min(self._resume_at, clock.monotonic() + FLUSH_PAUSE)
            self._wake.notify_all()
            try:
                while self._unsent and not self._closed:
                    left = deadline - clock.monotonic()
                    if left <= 0:
                        break
                    self._wake.wait(left)
            finally:
                self._flushing -= 1
            return not self._unsent

    def close(self, timeout: float = EXIT_PATIENCE) -> None:
        """Send what waits, for `timeout` seconds at most, put the rest into the spool, and stop the thread."""
        try:
            self.flush(timeout)
            with self._wake:
                self._closed = True
                self._put_away()
                self._wake.notify_all()
                thread = self._thread
            if thread is not None and thread is not threading.current_thread():
                thread.join(min(timeout, 1.0))
            with self._wake:
                if self._unsent - sum(self._own.values()) > 0:
                    logger.warning("%d spans could not be sent before the end", self._unsent)
        except Exception as error:  # noqa: BLE001 - the end of the program is none of tracing's business
            fault("close", error)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="penstock-traces", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # Python is shutting down: no thread starts any more
            self._closed = True
            self._put_away()
            return
        self._thread = thread
        if not self._exit_hook:
            self._exit_hook = True
            atexit.register(self.close)
        # Children of multiprocessing end without atexit, but run these.
        child = getattr(sys.modules.get("multiprocessing.process"), "parent_process", _nobody)() is not None
        for name in ("multiprocessing.util", "billiard.util"):
            finalize = getattr(sys.modules.get(name), "Finalize", None)
            if finalize is not None and (child or name.startswith("billiard")):
                finalize(None, self.close, exitpriority=100)

    def _drop(self, span: Any) -> None:
        self._bytes -= span.size
        self._unsent -= 1
        self.dropped += 1
        warn_once(f"full:{id(self)}", "too many spans wait for the server: the oldest go, and are counted")

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            if self._spool is not None:
                self._spool.tidy()
                self._spooled = bool(self._spool.names())
        while True:
            try:
                batch = self._take()
                if batch is None:
                    return
                if batch:
                    self._deliver(batch)
                else:
                    self._drain()
            except Exception as error:  # noqa: BLE001 - the thread's one boundary: it must go on
                fault("sending", error)
                with self._wake:
                    self._settle(len(self._sending), lost=True)
                    self._sending = []
                    self._rest(None)

    def _take(self) -> list[Any] | None:
        """Return the next batch, waiting for one; [] when the spool has something to send; None when closed."""
        with self._wake:
            since = clock.monotonic()
            while not self._closed:
                now = clock.monotonic()
                away = now < self._resume_at
                ready = self._waiting and (
                    self._flushing
                    or len(self._waiting) >= BATCH
                    or self._bytes >= BATCH_BYTES
                    or now - since >= LINGER
                )
                if ready and (not away or self._spool is not None):
                    return self._pop()
                if self._spooled and not away:
                    return []
                if self._waiting or self._spooled:
                    self._wake.wait(self._nap(now, since))
                else:
                    self._idle = True
                    self._wake.wait()
                    self._idle = False
                    since = clock.monotonic()
            return None

    def _nap(self, now: float, since: float) -> float:
        """Return for how long nothing is due."""
        away = self._resume_at - now
        lingers = since + LINGER - now if self._waiting else LONGEST_PAUSE
        if away <= 0:
            return max(0.001, lingers)
        return max(0.001, min(away, lingers) if self._spool is not None else away)

    def _pop(self) -> list[Any]:
        batch: list[Any] = []
        held = 0
        while self._waiting and len(batch) < BATCH and (held < BATCH_BYTES or not batch):
            span = self._waiting.popleft()
            held += span.size
            batch.append(span)
        self._bytes -= held
        self._sending = batch
        return batch

    def _deliver(self, batch: list[Any]) -> None:
        """Send a batch; keep it when the server cannot take it now, or when older ones wait on disk."""
        body, count = self._encoder.encode(batch)
        kept = self._spooled or clock.monotonic() < self._resume_at
        if not count or (not kept and self._send(body, count)):
            with self._wake:
                if self._sending:  # else `close` has put it away meanwhile
                    self._settle(count)
                    self._settle(len(batch) - count, lost=True)
                    self._sending = []
            return
        with self._wake:
            if not self._sending:
                return
            self._sending = []
            name = self._store(body, count)
            if name is not None:
                self._own[name] = count
                self._settle(len(batch) - count, lost=True)
            else:
                self._waiting.extendleft(reversed(batch))
                self._bytes += sum(span.size for span in batch)

    def _store(self, body: bytes, count: int) -> str | None:
        """Put a body into the spool; None when there is none, or when the disk refuses."""
        if self._spool is None:
            return None
        try:
            name = self._spool.add(body, count)
        except OSError as error:
            warn_once("spool", "spans cannot wait on disk, they wait in memory: %s", error)
            self._spool, self._spooled = None, False
            return None
        self.dropped += self._spool.lost
        self._spool.lost = 0
        self._spooled = True
        return name

    def _put_away(self) -> None:
        """Put everything that waits into the spool; at the end of the program, and of what ends after it."""
        left = [*self._sending, *self._waiting]
        self._sending = []
        self._waiting.clear()
        self._bytes = 0
        if not left:
            return
        body, count = self._encoder.encode(left)
        name = self._store(body, count) if count else None
        if name is not None:
            self._own[name] = count
            self._settle(len(left) - count, lost=True)
        else:
            self._settle(len(left), lost=True)

    def _drain(self) -> None:
        """Send the oldest batch of the spool, if no other process is about to."""
        spool = self._spool
        if spool is None:
            self._spooled = False
            return
        try:
            names = spool.names()
            if not names:
                self._drained(set())
                return
            with spool.lock() as mine:
                patient = self._locked_out and clock.monotonic() - self._locked_out < LOCK_PATIENCE
                if not mine and (patient or not self._locked_out):
                    self._locked_out = self._locked_out or clock.monotonic()
                    self._drained(set(names))
                    with self._wake:
                        self._resume_at = clock.monotonic() + LOCK_PAUSE
                    return
                self._locked_out = 0.0
                self._drain_one(spool, names)
        except OSError as error:
            warn_once("spool", "spans on disk cannot be read: %s", error)
            with self._wake:
                self._settle(sum(self._own.values()), lost=True)
                self._own.clear()
                self._spool, self._spooled = None, False

    def _drain_one(self, spool: Spool, names: list[str]) -> None:
        body = spool.read(names[0])
        if body is None or self._send(body, count_of(names[0])):
            spool.remove(names[0])
            self._drained(set(names[1:]))

    def _drained(self, left: set[str]) -> None:
        """Settle those batches of this process that are no longer on disk."""
        with self._wake:
            gone = [name for name in self._own if name not in left]
            self._settle(sum(self._own.pop(name) for name in gone))
            self._spooled = bool(left)

    def _send(self, body: bytes, count: int) -> bool:
        """Send one body; return False when the server cannot take it now, True when it did or never will."""
        try:
            answer = self._transport.send("POST", "/v1/traces", body=body, repeatable=True)
        except ConnectionFailed as error:
            logger.debug("spans wait for the server: %s", error)
            return self._rest(None)
        except ApiError as error:
            if error.status == 413 and (parts := otlp.halves(body)):
                return all(self._send(part, otlp.span_count(part)) for part in parts)
            if error.status in RETRIED_STATUS or error.status == 408 or error.status >= 500:
                logger.debug("spans wait for the server: %s", error)
                return self._rest(error.retry_after)
            self.dropped += count
            warn_once(f"refused:{id(self)}:{error.status}", "the server refused %d spans: %s", count, error)
        else:
            self._notice_rejected(answer.body if answer is not None else b"")
        with self._wake:
            self._resume_at = self._pause = 0.0
            self._asked_to_wait = False
        return True

    def _notice_rejected(self, body: bytes) -> None:
        rejected, reason = otlp.rejected(body)
        if rejected:
            self.dropped += rejected
            warn_once(f"rejected:{id(self)}", "the server left out %d spans: %s", rejected, reason)

    def _rest(self, asked: float | None) -> bool:
        """Leave a failing server alone: as long as it asked for, else longer with every failure. Returns False."""
        with self._wake:
            self._asked_to_wait = asked is not None
            if asked is not None:
                self._pause = min(asked, LONGEST_RETRY_AFTER)
            elif self._flushing:
                self._pause = FLUSH_PAUSE
            else:
                self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._resume_at = clock.monotonic() + self._pause
        return False

    def _settle(self, count: int, *, lost: bool = False) -> None:
        self._unsent -= count
        self.dropped += count if lost else 0
        self._wake.notify_all()
