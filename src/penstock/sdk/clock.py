"""The SDK's own clock; the server's `core.clock` is out of its reach."""

import time


def now_ns() -> int:
    """Return nanoseconds since the Unix epoch, as OTLP wants them."""
    return time.time_ns()


def monotonic() -> float:
    """Return seconds on a clock that never goes back."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait `seconds`."""
    time.sleep(seconds)
