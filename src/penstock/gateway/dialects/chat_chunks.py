"""Reading a stream of chat completions for a caller of another API."""

from typing import Any, Protocol

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import Fault
from penstock.gateway.dialects.openai import OpenAIUsage, read_fault
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Chunk(Protocol):
    """What is read of each chunk; the choices in whatever shape the caller's API needs."""

    id: str | None
    model: str | None
    usage: OpenAIUsage | None
    error: Any
    choices: Any


class ChatChunks:
    """Base of relays: takes chunks apart and keeps the counts; what is written is the subclass's."""

    __slots__ = ("_decoder", "_events", "_id", "complete", "fault", "model", "usage")

    def __init__(self, decoder: Any) -> None:
        """`decoder` turns a chunk's JSON into a `Chunk`."""
        self._decoder = decoder
        self._events = EventBuffer()
        self._id: str | None = None
        self.usage: Usage | None = None
        self.model = ""
        self.fault: Fault | None = None
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """Return the caller's events for the chunks that `data` completes."""
        return b"".join([self._take(payload(event)) for event in self._events.feed(data)])

    def _rest(self) -> bytes:
        """Return the caller's events for a last chunk that nothing followed."""
        return self._take(payload(self._events.rest.strip()))

    def _take(self, data: bytes) -> bytes:
        if not data or self.complete:
            return b""
        if data == b"[DONE]":
            return self._end()
        try:
            chunk: Chunk = self._decoder.decode(data)
        except UNREADABLE as error:
            raise Upstream("The provider sent a chunk that is not JSON.", body=data[:2000]) from error
        if chunk.error is not None:
            self.fault = read_fault(data)
            return b""
        if chunk.usage is not None:
            self.usage = chunk.usage.usage()
        self.model = self.model or chunk.model or ""
        self._id = self._id or chunk.id
        made = [made for each in chunk.choices or () if (made := self._read(each)) is not None]
        return self._written(made, len(data)) if made else b""

    def _read(self, choice: Any) -> dict[str, Any] | None:
        """Return what a piece of a choice becomes, None when it shows nothing."""
        raise NotImplementedError

    def _written(self, made: list[dict[str, Any]], size: int) -> bytes:
        """Return the event of what a chunk of `size` bytes has become."""
        raise NotImplementedError

    def _end(self) -> bytes:
        """Return the end of the answer."""
        raise NotImplementedError
