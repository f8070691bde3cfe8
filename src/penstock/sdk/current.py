"""Which span is open here: one variable per thread and task, and the hooks of another tracing library beside ours."""

from contextvars import ContextVar
from typing import Any, Protocol

from penstock.sdk.quiet import fault


class Parent(Protocol):
    """What a span that starts needs of the one it belongs to."""

    trace_id: str
    span_id: str
    sampled: bool
    tracestate: str
    inherited: dict[str, Any] | None


_current: ContextVar[Parent | None] = ContextVar("penstock_span", default=None)


class Remote:
    """The caller's span in another process, as its `traceparent` header told it."""

    __slots__ = ("inherited", "sampled", "span_id", "trace_id", "tracestate")

    def __init__(self, trace_id: str, span_id: str, *, sampled: bool = True, tracestate: str = "") -> None:
        self.trace_id, self.span_id = trace_id, span_id
        self.sampled, self.tracestate = sampled, tracestate
        self.inherited: dict[str, Any] | None = None


class Bridge:
    """Hooks of another tracing library that shares the process (see `penstock.instrument`); None without one."""

    attach: Any = None
    """span → token: makes the span current there too."""
    detach: Any = None
    """token → None."""
    parent: Any = None
    """→ Remote | None: the current span over there, when it is newer than ours."""


bridge = Bridge()


def current() -> Parent | None:
    """Return what is open here, ours or a caller's in another process."""
    return _current.get()


def current_parent() -> Parent | None:
    """Return what a span that starts now belongs to."""
    found = _current.get()
    if bridge.parent is None:
        return found
    foreign: Remote | None = bridge.parent(found)
    return found if foreign is None else foreign


def activate(span: Parent | None) -> Any:
    """Make `span` the current one of this context; returns what `deactivate` needs."""
    token = _current.set(span)
    if bridge.attach is None or span is None or isinstance(span, Remote):
        return token, None
    try:
        return token, bridge.attach(span)
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("activate", error)
        return token, None


def deactivate(token: Any) -> None:
    """Undo `activate`."""
    mine, foreign = token
    try:
        _current.reset(mine)
        if foreign is not None and bridge.detach is not None:
            bridge.detach(foreign)
    except (ValueError, RuntimeError):
        # Left in another context than it was entered in (a generator moved between tasks): nothing to undo there.
        return
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("deactivate", error)
