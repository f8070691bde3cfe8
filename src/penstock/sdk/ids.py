"""Ids of traces and spans: random, and cheap because the system is asked for randomness once per process."""

import os
import random

from penstock.sdk import forks


class _Ids:
    def __init__(self) -> None:
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        """Draw a new seed: two children of one parent must not repeat each other's ids."""
        self._bits = random.Random(os.urandom(32)).getrandbits

    def trace(self) -> str:
        return f"{self._bits(128) or 1:032x}"

    def span(self) -> str:
        return f"{self._bits(64) or 1:016x}"

    def fraction(self) -> float:
        return self._bits(53) / 2**53


_ids = _Ids()


def new_trace_id() -> str:
    """Return 32 hexadecimal digits, never all zero."""
    return _ids.trace()


def new_span_id() -> str:
    """Return 16 hexadecimal digits, never all zero."""
    return _ids.span()


def fraction() -> float:
    """Return a random number from 0 up to, not including, 1."""
    return _ids.fraction()
