"""Server-sent events, cut where they end. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from penstock.core.errors import Upstream

MAX_EVENT_BYTES = 16 * 1024 * 1024
_CR = ord("\r")
"""A number is found in bytes without the error that Python makes and drops when it is asked for a byte string."""


class EventBuffer:
    """Turns arriving bytes into complete events, whatever the chunk boundaries and line ends are."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that `data` completes, without the blank line that ends each.

        Raises Upstream when an event grows beyond 16 MiB.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if _CR in data:
            # JSON escapes carriage returns, so any here belongs to a line end. One at the very end
            # may be the first half of a pair.
            if data.endswith(b"\r"):
                data, self._rest = data[:-1], b"\r"
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events = data.split(b"\n\n")
        self._rest = events.pop() + self._rest
        if len(self._rest) > MAX_EVENT_BYTES:
            raise Upstream("The provider sent an event larger than 16 MiB.")
        return events

    @property
    def rest(self) -> bytes:
        """Bytes of an event that has not ended."""
        return self._rest


def payload(event: bytes) -> bytes:
    """Return the event's data: its `data` lines joined by newlines, or nothing for a comment."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


PING = b": ping\n\n"
"""A comment: keeps idle connections open, and every client ignores it."""
