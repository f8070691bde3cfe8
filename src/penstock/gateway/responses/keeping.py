"""The answer on its way out: named by an id of our own, and stored before its last bytes go."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from penstock.core import log
from penstock.core.errors import PenstockError
from penstock.gateway.dialects.sse import PING, EventBuffer, payload
from penstock.gateway.responses.model import Fields

T = TypeVar("T")
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Keep = Callable[[msgspec.Raw], Awaitable[bool]]
"""Stores a Response object; returns whether it did, raises what storing raised."""
ENDS = ("response.completed", "response.incomplete")
LIFE = (*ENDS, "response.created", "response.queued", "response.in_progress", "response.failed")
KEPT_STATES = ("completed", "incomplete")
_log = log.get("gateway.responses")
_fields = msgspec.json.Decoder(Fields)
_encode = msgspec.json.encode


class _Event(msgspec.Struct):
    type: str = ""


class _State(msgspec.Struct):
    object: str = ""
    status: str = ""


_event = msgspec.json.Decoder(_Event)
_state = msgspec.json.Decoder(_State)


@dataclass(frozen=True, slots=True)
class Naming:
    """What an answer says of its own storage."""

    id: str | None
    """None leaves the provider's: nothing is stored under it."""
    previous: str | None

    def on(self, response: bytes, *, stored: bool) -> msgspec.Raw:
        """Return a Response object as the caller is to see it."""
        fields = _fields.decode(response)
        if self.id is not None:
            fields["id"] = msgspec.Raw(_encode(self.id))
        fields["previous_response_id"] = msgspec.Raw(_encode(self.previous))
        fields["store"] = msgspec.Raw(b"true" if stored else b"false")
        return msgspec.Raw(_encode(fields))


class Keeping:
    """Stands between the gateway and the caller for one answer: `send` in place of the server's.

    A Response object that says it was stored was committed before. When storing fails the answer goes out all the
    same, and says `"store": false`.
    """

    def __init__(self, send: Send, naming: Naming, keep: Keep | None) -> None:
        """`keep` is None when the caller wants nothing stored."""
        self._send = send
        self._naming = naming
        self._keep = keep
        self._mode = ""
        self._start: Message = {}
        self._parts: list[bytes] = []
        self._events = EventBuffer()

    async def send(self, message: Message) -> None:
        """Pass a message on, changed where it speaks of the response."""
        if message["type"] == "http.response.start":
            self._mode = _mode(message)
            if self._mode == "whole":
                self._start = message  # its length is not known yet
                return
        elif self._mode == "whole":
            await self._whole(message)
            return
        elif self._mode == "stream" and message.get("body", b"") != PING:
            message = {**message, "body": await self._stream(message)}
        await self._send(message)

    async def _whole(self, message: Message) -> None:
        self._parts.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        body: bytes = b"".join(self._parts)
        if _is_response(body):
            body = await self._named(body, over=_decoded(_state, body, _State()).status in KEPT_STATES)
        headers = [pair for pair in self._start["headers"] if pair[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({**self._start, "headers": headers})
        await self._send({**message, "body": body})

    async def _stream(self, message: Message) -> bytes:
        """Return the events that `message` completes; at the stream's end all that is left."""
        out = [await self._told(event) + b"\n\n" for event in self._events.feed(message.get("body", b""))]
        if not message.get("more_body", False):
            out.append(self._events.rest)
        return b"".join(out)

    async def _told(self, event: bytes) -> bytes:
        if b'"response.' not in event or b'"response"' not in event:
            return event
        data = payload(event)
        kind = _decoded(_event, data, _Event()).type
        if kind not in LIFE:
            return event
        fields = _fields.decode(data)
        if not _is_response(fields.get("response", b"")):
            return event
        fields["response"] = await self._named(bytes(fields["response"]), over=kind in ENDS)
        return b"event: %b\ndata: %b" % (kind.encode(), _encode(fields))

    async def _named(self, response: bytes, *, over: bool) -> msgspec.Raw:
        stored = self._keep is not None
        named = self._naming.on(response, stored=stored)
        if not over or self._keep is None:
            return named
        try:
            stored = await self._keep(named)
        except Exception as error:  # noqa: BLE001 - whatever happened to the store, the caller gets the answer
            # Errors of the database repeat what was to be stored, which belongs in no log.
            told = error if isinstance(error, PenstockError) else type(error).__name__
            _log.warning("the response %s was not stored: %s", self._naming.id, told)
            stored = False
        return named if stored else self._naming.on(response, stored=False)


def _mode(start: Message) -> str:
    if start["status"] != 200:
        return ""
    kinds = [value for name, value in start["headers"] if name == b"content-type"]
    return "stream" if kinds and kinds[0].startswith(b"text/event-stream") else "whole"


def _decoded(decoder: "msgspec.json.Decoder[T]", data: bytes, otherwise: T) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return otherwise


def _is_response(data: bytes) -> bool:
    return _decoded(_state, data, _State()).object == "response"
