"""What OTLP's doors (HTTP and gRPC) share: from the bytes of a request to durable spans, log records and metrics."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from penstock.core import clock, log
from penstock.core.errors import (
    Busy,
    Invalid,
    LimitExceeded,
    PenstockError,
    StorageFull,
    TooLarge,
    Unavailable,
)
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.traces import otlp, otlp_logs, otlp_metrics, spool, times
from penstock.traces.keys import KeyTable
from penstock.traces.mapping import to_record
from penstock.traces.otlp import Encoding, Signal
from penstock.traces.otlp_logs import OtlpLog
from penstock.traces.policy_service import MaskTable
from penstock.traces.pricing import PriceTable
from penstock.traces.settings import TracesSettings
from penstock.traces.store.logs import PreparedLog, prepare_log, told_apart
from penstock.traces.store.metrics import PreparedPoint, prepare_point
from penstock.traces.store.prepare import prepare
from penstock.traces.writer import Done, Item, Writer

logger = log.get("traces.receiver")
_RETRY_SECONDS = 1
_FULL_RETRY_SECONDS = 30
_GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 503: 14}
_SPOOL_SHARE, _SPOOL_SECONDS = 0.8, 1.0


@dataclass(slots=True)
class Work:
    """What came of one request before it is written."""

    signal: Signal
    batch: list[Item] = field(default_factory=list)
    rejected: int = 0
    message: str = ""
    size: int = 0
    """Bytes it holds in memory, about."""

    def reject(self, reason: str) -> None:
        """Count one item that is not kept; the first reason is told to the client."""
        self.rejected += 1
        self.message = self.message or reason

    def outcome(self) -> tuple[int, str]:
        """Return (items not kept, why), once the batch is written."""
        refused = sum(1 for item in self.batch if isinstance(item, PreparedPoint) and item.refused)
        if refused and not self.message:
            self.message = "There is no room for more series: see [traces] metric_series."
        return self.rejected + refused, self.message


class Room:
    """Bytes of requests that are worked on at once; beyond the limit clients are told to come back."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Take `size` bytes; raises LimitExceeded, taking nothing, when everything is taken."""
        with self._lock:
            if self.taken >= self.limit:
                raise LimitExceeded("Too many traces are being written.", retry_after=_RETRY_SECONDS)
            self.taken += size

    def give(self, size: int) -> None:
        """Give `size` bytes back (or take more without asking, when negative)."""
        with self._lock:
            self.taken -= size


class Door(Protocol):
    """Another way in than HTTP."""

    def start(self) -> None:
        """Take requests."""

    def stop(self) -> None:
        """Take no more, and finish what was begun."""


class Receiver:
    """Reads and writes requests for every project of `home`; for any thread. Call `close` at the end."""

    def __init__(self, home: Home) -> None:
        settings = home.settings.section(TracesSettings)
        self.limit = settings.otlp_max_mb << 20
        """Largest request, unpacked."""
        self.room = Room(max(settings.otlp_waiting_mb, settings.otlp_max_mb) << 20)
        self._keys = KeyTable(home)
        self._prices = PriceTable(home)
        self._masks = MaskTable(home)
        self._writer = Writer(home, linger=0.0)
        self._spool = spool.folder_of(home.path)
        self._spool_limit = int(settings.spool_mb * _SPOOL_SHARE) << 20
        self._spool_looked = float("-inf")
        self._spool_full = False

    def close(self) -> None:
        """Write what was accepted and stop."""
        self._writer.close()

    def admit(self, declared: int) -> None:
        """Raise TooLarge, LimitExceeded or Unavailable when a request of `declared` bytes need not even be read."""
        if declared > self.limit:
            raise self.too_large()
        self.room.take(0)
        if clock.monotonic() - self._spool_looked > _SPOOL_SECONDS:
            self._spool_looked = clock.monotonic()
            self._spool_full = spool.waiting(self._spool) > self._spool_limit
        if self._spool_full:
            raise Unavailable(
                "The database is behind: calls recorded here go first.", retry_after=5 * _RETRY_SECONDS
            )

    def too_large(self) -> TooLarge:
        """Return the error for a request over the limit."""
        return TooLarge(f"The request is larger than {self.limit >> 20} MB.", hint="Send smaller batches.")

    def scope(self, secret: str | None, project: str | None) -> Scope:
        """Return where `secret` may send to; raises Unauthenticated, Denied or NotFound."""
        return self._keys.actor(secret, project).scope

    def work(self, signal: Signal, scope: Scope, data: bytes, encoding: Encoding) -> Work:
        """Unpack, map and pack the unpacked body `data`; takes as long as the request is large.

        Raises Invalid or TooLarge when it cannot be read; what cannot be kept of it is counted in `rejected`.
        """
        work = Work(signal, size=len(data))
        if signal == "traces":
            make = partial(self._span, scope)
            self._each(work, otlp.decode(data, encoding), make)
        elif signal == "logs":
            records: Any = otlp_logs.decode(data, encoding)
            self._each(work, records, partial(self._log, scope))
            work.batch = list(told_apart(item for item in work.batch if isinstance(item, PreparedLog)))
        else:
            self._each(work, otlp_metrics.decode(data, encoding), partial(prepare_point, scope))
        return work

    def _span(self, scope: Scope, span: Any) -> Item:
        pricing = partial(self._prices.cost, scope)
        record = to_record(times.settled(span, clock.now_ns()), pricing)
        return prepare(scope, self._masks.masked(scope, record))

    def _log(self, scope: Scope, record: OtlpLog) -> Item:
        return prepare_log(scope, self._masks.masked_log(scope, record))

    def _each(self, work: Work, found: Iterable[Any], make: Callable[[Any], Item]) -> None:
        for item in found:
            if isinstance(item, Invalid):
                work.reject(str(item))
                continue
            try:
                work.batch.append(make(item))
            except Invalid as error:
                work.reject(str(error))
            except (Busy, StorageFull, Unavailable):
                raise  # what the project masks could not be read: the client sends all of it again
            except Exception as error:
                logger.exception(
                    "an item of an OTLP request could not be read", extra={"signal": work.signal}
                )
                work.reject(f"It could not be read: {type(error).__name__}.")

    def submit(self, batch: Sequence[Item], done: Done) -> None:
        """Queue `batch`; `done` is told when it is durable. Raises Unavailable after `close`."""
        self._writer.submit(batch, done)


def secret_of(headers: dict[bytes, bytes]) -> str | None:
    """Return the API key that came with a request, by any of the names for it (lower case)."""
    scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and value.strip():
        return value.strip().decode("latin-1")
    found = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key")
    return found.decode("latin-1") if found else None


def refusal(error: PenstockError) -> tuple[int, int, float | None]:
    """Return (HTTP status, gRPC code, seconds after which to try again or None) for `error`."""
    status, retry = error.status, error.retry_after
    if isinstance(error, StorageFull):
        # 507 would make exporters throw the spans away; 503 makes them try again.
        status, retry = 503, _FULL_RETRY_SECONDS
    elif status == 409:
        status, retry = 503, retry or _RETRY_SECONDS
    elif status == 503:
        retry = retry or _RETRY_SECONDS
    return status, _GRPC_CODES.get(status, 13), retry
