"""Traces that cross a border: to another service by W3C headers, to another thread by carrying the context along.

Source of the headers: https://www.w3.org/TR/trace-context/
"""

import concurrent.futures
import contextvars
import functools
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from penstock.sdk.current import Remote, activate, current_parent, deactivate
from penstock.sdk.quiet import fault

P = ParamSpec("P")
R = TypeVar("R")

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST_STATE = 512


def inject(headers: MutableMapping[str, str] | None = None) -> MutableMapping[str, str]:
    """Add `traceparent` (and `tracestate`) of the open span to `headers`, or to new ones, and return them.

    Headers stay as they are where no span is open. Never raises.
    """
    carried: MutableMapping[str, str] = {} if headers is None else headers
    try:
        parent = current_parent()
        if parent is not None and parent.trace_id:
            flags = "01" if parent.sampled else "00"
            carried["traceparent"] = f"00-{parent.trace_id}-{parent.span_id}-{flags}"
            if parent.tracestate:
                carried["tracestate"] = parent.tracestate
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("inject", error)
    return carried


@contextmanager
def extract(headers: Mapping[Any, Any] | str | None) -> Iterator[None]:
    """Make the caller's span the parent of the spans inside the block: `with penstock.extract(request.headers): ...`.

    Takes headers with names in any case, as text or bytes, or the `traceparent` value itself. Without a valid one the
    block starts a trace of its own.
    """
    token = None
    try:
        remote = _remote(headers)
        token = None if remote is None else activate(remote)
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("extract", error)
    try:
        yield
    finally:
        if token is not None:
            deactivate(token)


def with_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` so that its spans belong to the span that is open now, in whatever thread it runs later."""
    context = contextvars.copy_context()

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        # A copy per call: one context cannot be entered by two threads at a time.
        return context.copy().run(function, *args, **kwargs)

    return call


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    """The standard one, whose tasks belong to the span that was open when they were submitted."""

    def submit(
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Schedule `fn(*args, **kwargs)` with the context of this moment."""
        return super().submit(with_context(fn), *args, **kwargs)


def _remote(headers: Mapping[Any, Any] | str | None) -> Remote | None:
    if not headers:
        return None
    if isinstance(headers, str):
        return _parsed(headers, "")
    named = {_text(name).lower(): _text(value) for name, value in headers.items()}
    return _parsed(named.get("traceparent", ""), named.get("tracestate", ""))


def _parsed(traceparent: str, tracestate: str) -> Remote | None:
    found = _TRACEPARENT.fullmatch(traceparent.strip().lower())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    state = tracestate.strip() if len(tracestate) <= _LONGEST_STATE else ""
    return Remote(trace_id, span_id, sampled=bool(int(flags, 16) & 1), tracestate=state)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
