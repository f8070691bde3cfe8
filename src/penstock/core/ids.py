"""Identifiers: sortable by time, prefixed by kind, safe in URLs."""

import os
import secrets
import threading
from collections.abc import Iterator

from penstock.core import clock

_lock = threading.Lock()
_last = (0, 0)
_BLOCK = 4096
_NO_SPAN = "0" * 16
_random: Iterator[bytes] = iter(())
"""Random bytes of the system's generator, eight at a time: one system call serves 512 ids."""


def _eight() -> bytes:
    global _random
    for found in _random:  # a list's iterator gives each item to one thread only
        return found
    block = os.urandom(_BLOCK)
    fresh = iter([block[at : at + 8] for at in range(8, _BLOCK, 8)])
    _random = fresh
    return block[:8]


def _after_fork() -> None:
    global _random
    _random = iter(())  # a child must not repeat what its parent will use


os.register_at_fork(after_in_child=_after_fork)


def _uuid7_int() -> int:
    """Return a UUIDv7 (RFC 9562 §5.7) as an integer; within one process each is larger than the last."""
    global _last
    millis = clock.now_ns() // 1_000_000
    with _lock:
        last_millis, last_counter = _last
        if millis <= last_millis:
            millis, counter = last_millis, last_counter + 1
            if counter >= 1 << 12:
                millis, counter = last_millis + 1, 0
        else:
            counter = int.from_bytes(_eight(), "big") & 0x3FF
        _last = (millis, counter)
    tail = int.from_bytes(_eight(), "big") & ((1 << 62) - 1)
    return (millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | tail


def new_id(prefix: str) -> str:
    """Return `<prefix>_<32 hex digits>`; ids made later sort later."""
    return f"{prefix}_{_uuid7_int():032x}"


def new_trace_id() -> str:
    """Return a W3C trace id: 32 hex digits, sortable by time."""
    return f"{_uuid7_int():032x}"


def new_span_id() -> str:
    """Return a W3C span id: 16 random hex digits, never all zero."""
    found = _eight().hex()
    return found if found != _NO_SPAN else new_span_id()


def new_secret(prefix: str) -> str:
    """Return `<prefix>_<43 URL-safe characters>`, 256 bits from the system's generator."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"
