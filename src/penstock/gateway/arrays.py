"""Streams as one JSON array that grows: what Gemini's API sends to callers who do not ask for server-sent events.

See https://cloud.google.com/apis/docs/system-parameters (`alt`) and `:streamGenerateContent`.
"""

from urllib.parse import parse_qs

from penstock.gateway.call import Message, Send
from penstock.gateway.dialects.sse import EventBuffer, payload

_EVENTS = b"text/event-stream"


def wants_array(query: bytes) -> bool:
    """Return whether the query string of a streamed Gemini call asks for no events (`alt=sse`)."""
    return b"sse" not in parse_qs(query).get(b"alt", [])


class ArraySend:
    """An ASGI `send` that turns a stream of events into a JSON array; any other answer passes as it is.

    Comments become line ends, which JSON ignores; an error in mid-stream becomes the last element.
    """

    __slots__ = ("_active", "_began", "_events", "_send")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._events = EventBuffer()
        self._active = False
        self._began = False

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start":
            await self._send(self._start(message))
        elif self._active and message["type"] == "http.response.body":
            await self._body(message)
        else:
            await self._send(message)

    def _start(self, message: Message) -> Message:
        headers = []
        for name, value in message.get("headers", ()):
            if name == b"content-type" and value.startswith(_EVENTS):
                self._active = True
                headers.append((name, b"application/json; charset=UTF-8"))
            else:
                headers.append((name, value))
        return {**message, "headers": headers}

    async def _body(self, message: Message) -> None:
        more = message.get("more_body", False)
        body: bytes = message.get("body", b"")
        out = [self._element(event) for event in self._events.feed(body)] if body else []
        if not more:
            if rest := self._events.rest.strip():
                out.append(self._element(rest))
            out.append(b"\n]" if self._began else b"[]")
        data = b"".join(out)
        if data or not more:
            await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _element(self, event: bytes) -> bytes:
        data = payload(event)
        if not data:
            return b"\n"
        start = b",\n" if self._began else b"["
        self._began = True
        return start + data
