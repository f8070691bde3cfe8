"""`POST /v1/traces`: OpenTelemetry's door, a plain ASGI callable in front of the router.

A request is read on the event loop, unpacked, mapped and priced by a few threads, and committed together with
whatever else waits by the writer's thread; 200 is sent only after that commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from penstock.core import log
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
from penstock.traces import otlp
from penstock.traces.keys import KeyTable
from penstock.traces.mapping import to_record
from penstock.traces.otlp import Encoding
from penstock.traces.policy_service import MaskTable
from penstock.traces.pricing import PriceTable
from penstock.traces.settings import TracesSettings
from penstock.traces.store.prepare import Prepared, prepare
from penstock.traces.writer import Writer

logger = log.get("traces.otlp")

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH = "/v1/traces"
_THREADS = 2
_GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 503: 14}
_RETRY_SECONDS = 1
_FULL_RETRY_SECONDS = 30
_ENCODINGS: dict[str, Encoding] = {
    "application/x-protobuf": "protobuf",
    "application/protobuf": "protobuf",
    "application/json": "json",
}


class _Disconnected(Exception):
    """The client went away before its request was complete."""


class _Unsupported(Invalid):
    status = 415


class _NotPost(Invalid):
    status = 405


@dataclass(slots=True)
class _Work:
    """What came of one request before it is written."""

    batch: list[Prepared]
    rejected: int
    message: str
    size: int


class OtlpApp:
    """Receives traces for every project of `home`; call `close` at the end."""

    def __init__(self, home: Home) -> None:
        settings = home.settings.section(TracesSettings)
        self._limit = settings.otlp_max_mb << 20
        self._waiting_limit = settings.otlp_waiting_mb << 20
        self._waiting = 0
        self._keys = KeyTable(home)
        self._prices = PriceTable(home)
        self._masks = MaskTable(home)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="penstock-otlp")
        self._writer = Writer(home, linger=0.0)

    def handles(self, path: str) -> bool:
        """Whether requests for `path` belong here."""
        return path == PATH

    async def start(self) -> None:
        """Ready from the beginning: keys and prices load with the first request."""

    async def stop(self) -> None:
        """Finish what was accepted and stop the threads."""
        await asyncio.to_thread(self.close)

    def why_not_ready(self) -> str | None:
        """Always None: whether the database can be written is for each request to say."""
        return None

    def close(self) -> None:
        """Finish what was accepted and stop the threads (for callers without an event loop)."""
        self._threads.shutdown(wait=True)
        self._writer.close()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        kind = headers.get(b"content-type", b"application/x-protobuf").decode("latin-1").partition(";")[0]
        encoding = _ENCODINGS.get(kind.strip().lower())
        try:
            if scope["method"] != "POST":
                raise _NotPost("Traces are sent by POST.")
            if encoding is None:
                raise _Unsupported(
                    f"The content type {kind!r} is not known.",
                    hint="Use application/x-protobuf or application/json.",
                )
            body = await self._answer(headers, receive, encoding)
        except _Disconnected:
            return
        except PenstockError as error:
            await _refuse(send, encoding or "json", error)
            return
        except Exception:
            logger.exception("an OTLP request failed")
            await _refuse(
                send, encoding or "json", Unavailable("This failed inside Penstock.", retry_after=5)
            )
            return
        await _reply(send, 200, encoding, body, [])

    async def _answer(self, headers: dict[bytes, bytes], receive: Receive, encoding: Encoding) -> bytes:
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            raise TooLarge(
                f"The request is larger than {self._limit >> 20} MB.", hint="Send smaller batches."
            )
        if self._waiting >= self._waiting_limit:
            raise LimitExceeded("Too many traces are being written.", retry_after=_RETRY_SECONDS)
        loop = asyncio.get_running_loop()
        body = await self._read(receive)
        held = len(body)
        self._waiting += held
        try:
            work = await loop.run_in_executor(self._threads, partial(self._work, headers, body, encoding))
            del body
            self._waiting += work.size - held
            held = work.size
            if work.batch:
                await self._written(loop, work.batch)
        finally:
            self._waiting -= held
        return otlp.response(encoding, work.rejected, work.message)

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            part = message.get("body", b"")
            size += len(part)
            if size > self._limit:
                raise TooLarge(
                    f"The request is larger than {self._limit >> 20} MB.", hint="Send smaller batches."
                )
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _work(self, headers: dict[bytes, bytes], body: bytes, encoding: Encoding) -> _Work:
        """Authenticate, unpack, map and pack; in a thread."""
        project = headers.get(b"x-penstock-project", b"").decode("latin-1") or None
        scope = self._keys.actor(_secret(headers), project).scope
        compression = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        data = otlp.decompress(body, compression, self._limit)
        pricing = partial(self._prices.cost, scope)
        work = _Work([], 0, "", len(data))
        for span in otlp.decode(data, encoding):
            try:
                work.batch.append(prepare(scope, self._masks.masked(scope, to_record(span, pricing))))
            except Invalid as error:
                work.rejected += 1
                work.message = work.message or str(error)
            except (Busy, StorageFull, Unavailable):
                raise  # the policies could not be read: the client sends all of it again
            except Exception as error:
                logger.exception("a span could not be read", extra={"span": span.span_id})
                work.rejected += 1
                work.message = work.message or f"A span could not be read: {type(error).__name__}."
        return work

    async def _written(self, loop: asyncio.AbstractEventLoop, batch: list[Prepared]) -> None:
        future: asyncio.Future[None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        def done(error: BaseException | None) -> None:
            loop.call_soon_threadsafe(settle, error)

        self._writer.submit(batch, done)
        await future


def _secret(headers: dict[bytes, bytes]) -> str | None:
    scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and value.strip():
        return value.strip().decode("latin-1")
    found = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key")
    return found.decode("latin-1") if found else None


async def _refuse(send: Send, encoding: Encoding, error: PenstockError) -> None:
    status, retry = error.status, error.retry_after
    if isinstance(error, StorageFull):
        # 507 would make exporters throw the spans away; 503 makes them try again.
        status, retry = 503, _FULL_RETRY_SECONDS
    elif status == 409:
        status, retry = 503, retry or _RETRY_SECONDS
    elif status == 503:
        retry = retry or _RETRY_SECONDS
    headers = [] if retry is None else [(b"retry-after", str(max(1, round(retry))).encode())]
    if status == 405:
        headers.append((b"allow", b"POST"))
    body = otlp.status(encoding, _GRPC_CODES.get(status, 13), str(error))
    await _reply(send, status, encoding, body, headers)


async def _reply(
    send: Send, status: int, encoding: Encoding, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    fixed = [(b"content-type", otlp.CONTENT_TYPES[encoding]), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fixed + headers})
    await send({"type": "http.response.body", "body": body})


__all__ = ["PATH", "OtlpApp"]
