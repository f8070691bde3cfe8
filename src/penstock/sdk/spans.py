"""Spans of the traced program: what a call was given, what it gave back, how long it took, what it belongs to."""

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from penstock.sdk import clock

Kind = Literal["chain", "llm", "embedding", "tool", "retriever", "agent", "guard", "other"]

LONGEST_VALUE = 64_000
"""Characters of one captured input or output; the rest is cut off and said so."""

_current: ContextVar["Span | None"] = ContextVar("penstock_span", default=None)


class SpanSink(Protocol):
    """Where finished spans go."""

    def put(self, span: "Span") -> None:
        """Take one finished span without blocking and without raising."""
        ...


@dataclass(slots=True, kw_only=True)
class Span:
    """One timed piece of work; a context manager, sync and async alike. Ends once, and is sent when it ends."""

    name: str
    sink: SpanSink
    kind: Kind = "chain"
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    """32 hexadecimal digits, shared by the spans of one request."""
    span_id: str = field(default_factory=lambda: secrets.token_hex(8))
    """16 hexadecimal digits."""
    parent_id: str = ""
    start_ns: int = field(default_factory=clock.now_ns)
    """Nanoseconds since the Unix epoch."""
    end_ns: int = 0
    """The same; 0 while the work goes on."""
    error: str = ""
    """Type and message of the exception that ended the work, or empty."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """OpenTelemetry attributes: text, numbers, truth values and lists of them."""
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    """Time in nanoseconds, name, attributes."""
    _tokens: list[Any] = field(default_factory=list, repr=False)

    @property
    def traceparent(self) -> str:
        """The W3C header that makes another service's spans children of this one."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    def set_input(self, value: Any) -> Self:
        """Record what the work was given, as JSON where it can be."""
        self.attributes["input.value"], self.attributes["input.mime_type"] = as_text(value)
        return self

    def set_output(self, value: Any) -> Self:
        """Record what the work gave back, as JSON where it can be."""
        self.attributes["output.value"], self.attributes["output.mime_type"] = as_text(value)
        return self

    def set_model(
        self,
        model: str,
        *,
        provider: str = "",
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> Self:
        """Record a model call's model, provider and token counts (GenAI semantic conventions)."""
        values = {
            "gen_ai.request.model": model,
            "gen_ai.provider.name": provider or None,
            "gen_ai.usage.input_tokens": input_tokens,
            "gen_ai.usage.output_tokens": output_tokens,
        }
        self.attributes.update({name: value for name, value in values.items() if value is not None})
        return self

    def set(self, **attributes: Any) -> Self:
        """Add attributes under their own names."""
        self.attributes.update(attributes)
        return self

    def event(self, name: str, **attributes: Any) -> Self:
        """Add something that happened at this moment."""
        self.events.append((clock.now_ns(), name, attributes))
        return self

    def fail(self, error: BaseException) -> None:
        """Mark the work as failed with `error`."""
        self.error = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.event("exception", **{"exception.type": type(error).__name__, "exception.message": str(error)})

    def end(self) -> None:
        """Finish the span and send it; later calls do nothing."""
        if not self.end_ns:
            self.end_ns = max(clock.now_ns(), self.start_ns)
            self.sink.put(self)

    @contextlib.contextmanager
    def active(self) -> Iterator[Self]:
        """Make this the parent of the spans that start inside the block, without ending it."""
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    def __enter__(self) -> Self:
        self._tokens.append(_current.set(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A block left in another context than it was entered in (a generator moved between tasks) has no token to undo.
        with contextlib.suppress(ValueError):
            _current.reset(self._tokens.pop())
        if error is not None and not isinstance(error, GeneratorExit):
            self.fail(error)
        self.end()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def current_span() -> Span | None:
    """Return the innermost span that is open here, or None."""
    return _current.get()


def start(
    sink: SpanSink, name: str, *, kind: Kind = "chain", details: Mapping[str, Any] | None = None
) -> Span:
    """Return a running span, child of the current one; `details` may hold session, user, tags and metadata."""
    parent = _current.get()
    span = Span(name=name, sink=sink, kind=kind)
    if parent is not None:
        span.trace_id, span.parent_id = parent.trace_id, parent.span_id
    for key, value in (details or {}).items():
        if value:
            attribute = _DETAIL_NAMES[key]
            span.attributes[attribute] = json.dumps(value, default=repr) if key == "metadata" else value
    return span


_DETAIL_NAMES = {"session": "session.id", "user": "user.id", "tags": "tag.tags", "metadata": "metadata"}


def as_text(value: Any) -> tuple[str, str]:
    """Return `value` as text and its media type: text itself, JSON of the rest, `repr` of what JSON lacks."""
    if isinstance(value, str):
        return _cut(value), "text/plain"
    try:
        text = json.dumps(value, ensure_ascii=False, default=_fallback)
    except (TypeError, ValueError, RecursionError):
        return _cut(_safe_repr(value)), "text/plain"
    return (text, "application/json") if len(text) <= LONGEST_VALUE else (_cut(text), "text/plain")


def _fallback(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return _safe_repr(value)


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a traced program's broken __repr__ must not break the program
        return f"<{type(value).__name__}: repr failed with {type(error).__name__}>"


def _cut(text: str) -> str:
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:LONGEST_VALUE]}… ({len(text) - LONGEST_VALUE} characters cut off)"
