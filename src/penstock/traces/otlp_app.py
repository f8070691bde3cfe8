"""`POST /v1/traces`, `/v1/logs`, `/v1/metrics`: OpenTelemetry's door, a plain ASGI callable before the router.

A request is read on the event loop, unpacked, mapped and priced by a few threads, and committed together with
whatever else waits by the writer's thread; 200 is sent only after that commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from penstock.core import log, plugins
from penstock.core.errors import Invalid, PenstockError, Unavailable
from penstock.core.home import Home
from penstock.core.settings import ServerSettings
from penstock.traces import otlp
from penstock.traces.otlp import Encoding, Signal
from penstock.traces.receiver import Door, Receiver, Room, Work, refusal, secret_of
from penstock.traces.settings import TracesSettings
from penstock.traces.writer import Item

logger = log.get("traces.otlp")

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SIGNALS: dict[str, Signal] = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
_THREADS = 2
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


class OtlpApp:
    """Receives traces, logs and metrics for every project of `home`; call `close` at the end."""

    def __init__(self, home: Home, receiver: Receiver | None = None) -> None:
        """`receiver` is shared with another door and closed by the caller, or None for one of its own."""
        self.receiver = receiver or Receiver(home)
        self._owned = receiver is None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="penstock-otlp")

    def handles(self, path: str) -> bool:
        """Whether requests for `path` belong here."""
        return path in SIGNALS

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
        if self._owned:
            self.receiver.close()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        kind = headers.get(b"content-type", b"application/x-protobuf").decode("latin-1").partition(";")[0]
        encoding = _ENCODINGS.get(kind.strip().lower())
        try:
            if scope["method"] != "POST":
                raise _NotPost("Traces, logs and metrics are sent by POST.")
            if encoding is None:
                raise _Unsupported(
                    f"The content type {kind!r} is not known.",
                    hint="Use application/x-protobuf or application/json.",
                )
            body = await self._answer(SIGNALS[scope["path"]], headers, receive, encoding)
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

    async def _answer(
        self, signal: Signal, headers: dict[bytes, bytes], receive: Receive, encoding: Encoding
    ) -> bytes:
        declared = headers.get(b"content-length", b"0")
        self.receiver.admit(int(declared) if declared.isdigit() and len(declared) < 20 else 0)
        loop = asyncio.get_running_loop()
        room = self.receiver.room
        held = _Holding(room)
        try:
            body = await self._read(receive, held)
            work = await loop.run_in_executor(
                self._threads, partial(self._work, signal, headers, body, encoding)
            )
            del body
            held.change(work.size)
            if work.batch:
                await self._written(loop, work.batch)
        finally:
            held.change(0)
        return otlp.response(encoding, *work.outcome(), signal)

    async def _read(self, receive: Receive, held: "_Holding") -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            part = message.get("body", b"")
            size += len(part)
            if size > self.receiver.limit:
                raise self.receiver.too_large()
            held.grow(len(part))
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _work(self, signal: Signal, headers: dict[bytes, bytes], body: bytes, encoding: Encoding) -> Work:
        """Authenticate, unpack, map and pack; in a thread."""
        project = headers.get(b"x-penstock-project", b"").decode("latin-1") or None
        scope = self.receiver.scope(secret_of(headers), project)
        compression = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        data = otlp.decompress(body, compression, self.receiver.limit)
        return self.receiver.work(signal, scope, data, encoding)

    async def _written(self, loop: asyncio.AbstractEventLoop, batch: list[Item]) -> None:
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

        self.receiver.submit(batch, done)
        await future


class _Holding:
    """What one request holds of the room."""

    __slots__ = ("_room", "_size")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes more; raises LimitExceeded when there is no room."""
        self._room.take(size)
        self._size += size

    def change(self, size: int) -> None:
        """Hold `size` bytes from now on."""
        self._room.give(self._size - size)
        self._size = size


async def _refuse(send: Send, encoding: Encoding, error: PenstockError) -> None:
    status, code, retry = refusal(error)
    headers = [] if retry is None else [(b"retry-after", str(max(1, round(retry))).encode())]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await _reply(send, status, encoding, otlp.status(encoding, code, str(error)), headers)


async def _reply(
    send: Send, status: int, encoding: Encoding, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    fixed = [(b"content-type", otlp.CONTENT_TYPES[encoding]), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fixed + headers})
    await send({"type": "http.response.body", "body": body})


def grpc_door(home: Home, receiver: Receiver) -> Door | None:
    """Return the gRPC door before `receiver`, not yet started; None while `[traces] grpc_port` is 0.

    Raises MissingExtra without grpcio, Invalid when the port or the certificate cannot be had.
    """
    settings = home.settings.section(TracesSettings)
    if not settings.grpc_port:
        return None
    files = (settings.grpc_certificate, settings.grpc_key)
    if any(files) and not all(files):
        raise Invalid("TLS for OTLP over gRPC needs both [traces] grpc_certificate and grpc_key.")
    host = home.settings.section(ServerSettings).host
    door = plugins.load("doors", "grpc")
    return cast(Door, door(receiver, host, settings.grpc_port, certificate=files if all(files) else None))


__all__ = ["SIGNALS", "OtlpApp", "grpc_door"]
