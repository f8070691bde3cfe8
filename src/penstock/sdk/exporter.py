"""Sends finished spans from a background thread: never blocks the program, never breaks it, drops only when full."""

import atexit
import logging
import os
import threading
from collections import deque

from penstock.sdk import clock, otlp
from penstock.sdk.errors import ApiError, ConnectionFailed
from penstock.sdk.spans import Span
from penstock.sdk.transport import RETRIED_STATUS, Transport

logger = logging.getLogger("penstock.sdk")

CAPACITY = 10_000
"""Spans waiting at most; what comes on top is dropped and counted."""
BATCH = 256
LINGER = 0.5
"""Seconds a span waits for company."""
LONGEST_PAUSE = 30.0
FLUSH_PAUSE = 0.2
EXIT_PATIENCE = 3.0
"""Seconds the program's end waits for the last spans."""


class Exporter:
    """A bounded queue and the thread that empties it into `/v1/traces`. One per process and server."""

    def __init__(self, transport: Transport, *, service: str = "", capacity: int = CAPACITY) -> None:
        self._transport = transport
        self._service = service or os.environ.get("OTEL_SERVICE_NAME") or "python"
        self._capacity = capacity
        self._exit_hook = False
        self.dropped = 0
        """Spans lost because the queue was full or the server refused them."""
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Start empty: also in a forked child, which has neither the thread nor any business with its spans."""
        self._wake = threading.Condition()
        self._waiting: deque[Span] = deque()
        self._unsent = 0
        self._flushing = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, span: Span) -> None:
        """Queue one finished span; returns at once."""
        with self._wake:
            if self._closed or self._unsent >= self._capacity:
                self.dropped += 1
                return
            self._waiting.append(span)
            self._unsent += 1
            if self._thread is None:
                self._start()
            if len(self._waiting) >= BATCH:
                self._wake.notify_all()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything put so far was sent or refused; return whether that happened in `timeout` seconds."""
        deadline = clock.monotonic() + timeout
        with self._wake:
            self._flushing = True
            self._wake.notify_all()
            while self._unsent:
                left = deadline - clock.monotonic()
                if left <= 0 or not self._wake.wait(left):
                    break
            self._flushing = False
            return not self._unsent

    def close(self, timeout: float = EXIT_PATIENCE) -> None:
        """Send what waits, for `timeout` seconds at most, and stop the thread."""
        self.flush(timeout)
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="penstock-traces", daemon=True)
        self._thread.start()
        if not self._exit_hook:
            self._exit_hook = True
            atexit.register(self.close)

    def _run(self) -> None:
        pause = 0.0
        while True:
            batch = self._take()
            if not batch:
                return
            pause = 0.0 if self._send(batch) else min(max(2 * pause, LINGER), LONGEST_PAUSE)
            if pause:
                self._rest(pause)

    def _rest(self, pause: float) -> None:
        """Leave a failing server alone for `pause` seconds, for less when somebody waits for the flush."""
        until = clock.monotonic() + pause
        with self._wake:
            while not self._closed and (left := until - clock.monotonic()) > 0:
                if self._flushing:
                    left = min(left, FLUSH_PAUSE)
                    until = clock.monotonic()
                self._wake.wait(left)

    def _take(self) -> list[Span]:
        """Return the next batch, waiting for one; empty when closed."""
        with self._wake:
            while not self._closed:
                if self._waiting and (self._flushing or len(self._waiting) >= BATCH):
                    break
                if not self._wake.wait(LINGER) and self._waiting:
                    break
            if self._closed:
                return []
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _send(self, batch: list[Span]) -> bool:
        """Send one batch; put it back and return False when the server cannot take it now."""
        try:
            body = otlp.encode(batch, service=self._service)
            self._transport.send("POST", "/v1/traces", body=body)
        except (ApiError, ConnectionFailed) as error:
            if isinstance(error, ConnectionFailed) or error.status in RETRIED_STATUS or error.status >= 500:
                logger.debug("spans wait for the server: %s", error)
                with self._wake:
                    self._waiting.extendleft(reversed(batch))
                return False
            self._settle(batch, lost=True)
            logger.warning("the server refused %d spans: %s", len(batch), error)
        except Exception:  # the thread's one boundary: a span that cannot be sent must not end tracing
            self._settle(batch, lost=True)
            logger.exception("%d spans could not be sent", len(batch))
        else:
            self._settle(batch, lost=False)
        return True

    def _settle(self, batch: list[Span], *, lost: bool) -> None:
        with self._wake:
            self._unsent -= len(batch)
            self.dropped += len(batch) if lost else 0
            self._wake.notify_all()
