"""Amazon's binary event streams, cut into messages and checked.

Format: https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream and
https://smithy.io/2.0/aws/amazon-eventstream.html — a prelude of total length, headers' length and their CRC-32; headers
(name, type, value); the payload; the CRC-32 of all before it. Numbers are big-endian.
"""

import struct
from typing import NamedTuple
from zlib import crc32

from penstock.core.errors import Upstream

MAX_MESSAGE_BYTES = 24 * 1024 * 1024
"""The format's own limit is 16 MiB of payload."""
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_MINIMUM = _PRELUDE.size + _CRC.size
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Header types with a fixed size: true, false, byte, short, int, long, timestamp, UUID."""
_STRING, _BYTES = 7, 6


class Message(NamedTuple):
    """One message. Only headers that hold strings are kept: those that name events and errors do."""

    headers: dict[str, str]
    payload: bytes


class EventStream:
    """Turns arriving bytes into complete messages, whatever the chunk boundaries are."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def rest(self) -> bytes:
        """Bytes of a message that has not ended."""
        return self._rest

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that `data` completes; raises Upstream for a broken one."""
        data = self._rest + data if self._rest else data
        out: list[Message] = []
        at = 0
        while (size := _size(data, at)) and len(data) - at >= size:
            out.append(_message(data[at : at + size]))
            at += size
        self._rest = data[at:]
        return out


def _broken(what: str) -> Upstream:
    return Upstream(f"The provider sent a broken event stream: {what}.")


def _size(data: bytes, at: int) -> int:
    """Return the size of the message at `at`, or 0 when its prelude is not there yet."""
    if len(data) - at < _PRELUDE.size:
        return 0
    total, headers, checksum = _PRELUDE.unpack_from(data, at)
    # First of all: a wrong length would make us wait for bytes that never come.
    if crc32(data[at : at + 8]) != checksum:
        raise _broken("a prelude's checksum does not match")
    if total > MAX_MESSAGE_BYTES or headers + _MINIMUM > total:
        raise _broken("a message's lengths make no sense")
    return int(total)


def _message(data: bytes) -> Message:
    if crc32(data[: -_CRC.size]) != _CRC.unpack_from(data, len(data) - _CRC.size)[0]:
        raise _broken("a message's checksum does not match")
    end = _PRELUDE.size + _PRELUDE.unpack_from(data)[1]
    try:
        headers = _headers(data[_PRELUDE.size : end])
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise _broken("a message's headers make no sense") from error
    return Message(headers, data[end : -_CRC.size])


def _headers(block: bytes) -> dict[str, str]:
    out: dict[str, str] = {}
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        name = block[at + 1 : name_end].decode("utf-8")
        kind = block[name_end]
        at = name_end + 1
        if kind in (_STRING, _BYTES):
            (length,) = _LENGTH.unpack_from(block, at)
            value = block[at + 2 : at + 2 + length]
            if len(value) != length:
                raise IndexError(name)
            if kind == _STRING:
                out[name] = value.decode("utf-8")
            at += 2 + length
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise _broken(f"a header has the unknown type {kind}")
    if at != len(block):
        raise IndexError(at)
    return out
