"""Events on the wire: their data read, and written again with nothing else changed."""

from typing import Any

import msgspec

from penstock.gateway.dialects.sse import payload

DONE = b"[DONE]"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read_event(event: bytes) -> tuple[bytes, Any]:
    """Return an event's data and what it says; None for what is no JSON object."""
    data = payload(event)
    if data[:1] != b"{":
        return data, None
    try:
        found = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return data, None
    return data, found if isinstance(found, dict) else None


def with_data(event: bytes, data: bytes) -> bytes:
    """Return the event with other data; its name, id and comments stay."""
    if event.startswith(b"data:") and b"\n" not in event:
        return b"data: " + data
    lines = [line for line in event.split(b"\n") if not line.startswith(b"data:")]
    return b"\n".join([*lines, *(b"data: " + line for line in data.split(b"\n"))])


def written_event(event: bytes, document: Any) -> bytes:
    """Return the event with `document` as its data."""
    return with_data(event, _encode(document))
