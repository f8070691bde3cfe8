"""What keeps tracing from ever breaking the traced program: its own faults are logged, once each, and end there."""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

logger = logging.getLogger("penstock.sdk")

P = ParamSpec("P")
S = TypeVar("S")

_said: set[str] = set()
_MOST_SAID = 1000


def warn_once(about: str, message: str, *values: object) -> None:
    """Log a warning unless one about the same was logged before; never raises, not even while Python shuts down."""
    with contextlib.suppress(Exception):
        if about in _said or len(_said) >= _MOST_SAID:
            logger.debug(message, *values)
            return
        _said.add(about)
        logger.warning(message, *values)


def fault(where: str, error: Exception) -> None:
    """Say that tracing itself failed in `where`; the program goes on untouched."""
    with contextlib.suppress(Exception):
        kind = type(error).__name__
        warn_once(
            f"fault:{where}:{kind}", "tracing failed in %s, the program goes on: %s: %s", where, kind, error
        )


def harmless(method: Callable[Concatenate[S, P], S]) -> Callable[Concatenate[S, P], S]:
    """Let a method that returns its object do so whatever happens inside."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> S:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault(getattr(method, "__qualname__", "?"), error)
            return self

    return call


def unharmed(method: Callable[Concatenate[S, P], str]) -> Callable[Concatenate[S, P], str]:
    """Let a method that returns a text return an empty one when it fails inside."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - tracking never raises into the tracked program
            fault(getattr(method, "__qualname__", "?"), error)
            return ""

    return call
