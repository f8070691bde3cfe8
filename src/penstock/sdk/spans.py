"""Spans of the traced program: what a call was given, what it gave back, how long it took, what it belongs to."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from penstock.sdk import clock, ids
from penstock.sdk.capture import Budget, Json, clipped, safe_repr, snapshot
from penstock.sdk.current import activate, current, current_parent, deactivate
from penstock.sdk.quiet import fault, harmless

Kind = Literal["chain", "llm", "embedding", "tool", "retriever", "agent", "guard", "other"]

MOST_EVENTS = 1_000
MOST_ATTRIBUTES = 1_000
SHORT = 100_000
SPAN_BYTES = 400
"""What a span weighs in the queue beside its contents."""


class SpanSink(Protocol):
    """Where finished spans go."""

    def put(self, span: "Span") -> None:
        """Take one finished span without blocking and without raising."""
        ...


class _Nowhere:
    def put(self, span: "Span") -> None:
        """Drop the span."""


NOWHERE: SpanSink = _Nowhere()
"""The sink of spans that nobody asked for."""


class Span:
    """One timed piece of work; a context manager, sync and async alike. Ends once, and is sent when it ends.

    No method raises. What is set after the end is ignored. `bool(span)` is False for the span that
    `penstock.current_span()` gives where none is open.
    """

    __slots__ = (
        "__weakref__",
        "_foreign",
        "_tokens",
        "attributes",
        "end_ns",
        "error",
        "events",
        "inherited",
        "kind",
        "name",
        "parent_id",
        "sampled",
        "sink",
        "size",
        "span_id",
        "start_ns",
        "trace_id",
        "tracestate",
    )

    def __init__(self, *, name: str, sink: SpanSink, kind: Kind = "chain") -> None:
        self.name, self.sink, self.kind = name, sink, kind
        self.trace_id = ids.new_trace_id()
        """32 hexadecimal digits, shared by the spans of one request."""
        self.span_id = ids.new_span_id()
        """16 hexadecimal digits."""
        self.parent_id = ""
        self.tracestate = ""
        """The W3C header of that name as it came in, passed on."""
        self.sampled = True
        """Whether the span will be sent."""
        self.start_ns = clock.now_ns()
        """Nanoseconds since the Unix epoch."""
        self.end_ns = 0
        """The same; 0 while the work goes on."""
        self.error = ""
        """Type and message of the exception that ended the work, or empty."""
        self.attributes: dict[str, Any] = {}
        """OpenTelemetry attributes: text, numbers, truth values, lists of them, and `Json`."""
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        """Time in nanoseconds, name, attributes."""
        self.inherited: dict[str, Any] | None = None
        """The attributes that child spans start with: session and user."""
        self.size = SPAN_BYTES
        """About how many bytes it holds."""
        self._tokens: list[Any] = []
        self._foreign: Any = None

    def __repr__(self) -> str:
        return (
            f"Span({self.name!r}, kind={self.kind!r}, trace_id={self.trace_id!r}, span_id={self.span_id!r})"
        )

    def __bool__(self) -> bool:
        return self.sink is not NOWHERE

    @property
    def traceparent(self) -> str:
        """The W3C header that makes another service's spans children of this one."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @harmless
    def set_input(self, value: Any) -> Self:
        """Record what the work was given, as JSON where it can be."""
        self.document("input", value)
        return self

    @harmless
    def set_output(self, value: Any) -> Self:
        """Record what the work gave back, as JSON where it can be."""
        self.document("output", value)
        return self

    @harmless
    def set_model(
        self,
        model: str,
        *,
        provider: str = "",
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> Self:
        """Record a model call's model, provider and token counts (GenAI semantic conventions)."""
        self._put("gen_ai.request.model", model)
        if provider:
            self._put("gen_ai.provider.name", provider)
        return self.set_usage(input_tokens=input_tokens, output_tokens=output_tokens)

    @harmless
    def set_usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> Self:
        """Record tokens, and the price where the program knows it better than Penstock's price book.

        `input_tokens` counts all the model read, cached ones included; `output_tokens` all it wrote, with reasoning.
        """
        values = (input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost_usd)
        for name, value in zip(_USAGE, values, strict=True):
            if value is not None:
                self._put(name, value)
        return self

    @harmless
    def set_session(self, session: str) -> Self:
        """Record which conversation this is part of; child spans started from now on inherit it."""
        return self._hand_down("session.id", str(session))

    @harmless
    def set_user(self, user: str) -> Self:
        """Record for whom the work is done; child spans started from now on inherit it."""
        return self._hand_down("user.id", str(user))

    @harmless
    def set_tags(self, *tags: str) -> Self:
        """Add labels to filter by."""
        known = list(self.attributes.get("tag.tags", ()))
        self._put("tag.tags", known + [str(tag) for tag in tags if tag not in known])
        return self

    @harmless
    def set_metadata(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Add named values to filter by, as a mapping, as keywords, or both."""
        held = self.attributes.get("metadata")
        merged = {**(held.value if isinstance(held, Json) else {}), **(values or {}), **more}
        self._put("metadata", merged)
        return self

    @harmless
    def set_prompt(self, prompt: Any) -> Self:
        """Record the managed prompt the call was made with: what `get_prompt` or `render` gave, or `name@number`."""
        name, _, number = str(getattr(prompt, "ref", prompt)).partition("@")
        self._put("gen_ai.prompt.name", name)
        if number:
            self._put("gen_ai.prompt.version", number)
        return self

    @harmless
    def score(self, name: str, value: float | bool | str, *, comment: str = "") -> Self:
        """Record an automatic judgement of this work as an evaluation result (OpenTelemetry's event of that name)."""
        details: dict[str, Any] = {"gen_ai.evaluation.name": name}
        if isinstance(value, bool):
            details |= {
                "gen_ai.evaluation.score.value": float(value),
                "gen_ai.evaluation.score.label": str(value).lower(),
            }
        elif isinstance(value, int | float):
            details["gen_ai.evaluation.score.value"] = float(value)
        else:
            details["gen_ai.evaluation.score.label"] = str(value)
        if comment:
            details["gen_ai.evaluation.explanation"] = comment
        return self.event("gen_ai.evaluation.result", **details)

    @harmless
    def set(self, /, **attributes: Any) -> Self:
        """Add attributes under their own names."""
        return self.update(attributes)

    @harmless
    def update(self, attributes: Mapping[str, Any]) -> Self:
        """Add attributes whose names are no Python names."""
        for name, value in attributes.items():
            self._put(name, value)
        return self

    @harmless
    def event(self, name: str, /, **attributes: Any) -> Self:
        """Add something that happened at this moment."""
        if not self.end_ns and len(self.events) < MOST_EVENTS:
            plain, size = snapshot(attributes)
            self.events.append((clock.now_ns(), name, plain))
            self.size += size
        return self

    @harmless
    def fail(self, error: BaseException) -> Self:
        """Mark the work as failed with `error`."""
        if self.end_ns:
            return self
        kind, message = type(error).__name__, _message(error)
        self.error = f"{kind}: {message}" if message else kind
        self._put("error.type", kind)
        return self.event("exception", **{"exception.type": kind, "exception.message": message})

    def end(self) -> None:
        """Finish the span and send it; later calls do nothing."""
        try:
            if not self.end_ns:
                self.end_ns = max(clock.now_ns(), self.start_ns)
                if self.sampled:
                    self.sink.put(self)
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault("Span.end", error)

    @contextlib.contextmanager
    def active(self) -> Iterator[Self]:
        """Make this the parent of the spans that start inside the block, without ending it."""
        token = activate(self)
        try:
            yield self
        finally:
            deactivate(token)

    def __enter__(self) -> Self:
        self._tokens.append(activate(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tokens:
            deactivate(self._tokens.pop())
        if error is not None and not isinstance(error, GeneratorExit):
            self.fail(error)
        self.end()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def document(self, side: Literal["input", "output"], value: Any) -> None:
        """Record the input or output; what `set_input` and `set_output` are made of, and may raise."""
        if self.end_ns:
            return
        name, kind = _DOCUMENTS[side]
        if type(value) is str and len(value) < SHORT:  # the usual case, at half the price
            self.attributes[name], self.attributes[kind] = value, "text/plain"
            self.size += len(value)
            return
        plain, size = snapshot(value)
        self.size += size
        if isinstance(plain, str):
            self.attributes[name], self.attributes[kind] = plain, "text/plain"
        else:
            self.attributes[name], self.attributes[kind] = Json(plain), "application/json"

    def _put(self, name: str, value: Any) -> None:
        if self.end_ns or (len(self.attributes) >= MOST_ATTRIBUTES and name not in self.attributes):
            return
        if type(value) in _SCALARS:
            self.attributes[name] = value
            return
        if type(value) is str:
            self.attributes[name] = clipped(value)
            self.size += len(value)
            return
        plain, size = snapshot(value.value if isinstance(value, Json) else value, Budget())
        self.attributes[name] = plain if _is_simple(plain) else Json(plain)
        self.size += size

    def _hand_down(self, name: str, value: str) -> Self:
        self._put(name, value)
        self.inherited = {**(self.inherited or {}), name: value}
        return self


_DOCUMENTS = {
    "input": ("input.value", "input.mime_type"),
    "output": ("output.value", "output.mime_type"),
}
_SCALARS = frozenset({int, float, bool})
_USAGE = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.cost",
)


def _is_simple(plain: Any) -> bool:
    if isinstance(plain, list):
        return all(type(item) in _SCALARS or type(item) is str for item in plain)
    return type(plain) in _SCALARS or type(plain) is str


def _message(error: BaseException) -> str:
    try:
        return clipped(str(error), 10_000)
    except Exception as broken:  # noqa: BLE001 - an exception whose text cannot be made is still an exception
        return f"<text failed with {type(broken).__name__}>"


def current_span() -> Span:
    """Return the innermost span that is open here; where none is, one that is false and goes nowhere."""
    found = current()
    return found if isinstance(found, Span) else Span(name="", sink=NOWHERE)


def start(sink: SpanSink, name: str, *, kind: Kind = "chain", rate: float = 1.0) -> Span:
    """Return a running span, child of the current one.

    `rate` is the share of new traces that are sent; a child goes with its parent. Never raises.
    """
    try:
        span = Span(name=name if type(name) is str else safe_repr(name), sink=sink, kind=kind)
        parent = current_parent()
        if parent is not None:
            span.trace_id, span.parent_id, span.sampled = parent.trace_id, parent.span_id, parent.sampled
            span.tracestate = parent.tracestate
            if parent.inherited:
                span.inherited = parent.inherited
                span.attributes.update(parent.inherited)
        elif rate < 1.0:
            span.sampled = ids.fraction() < rate
        return span
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("start", error)
        return Span(name="", sink=NOWHERE)


def describe(
    span: Span, session: str, user: str, tags: Iterable[str] | str, metadata: Mapping[str, Any] | None
) -> None:
    """Record what the span belongs to; empty values say nothing."""
    if session:
        span.set_session(session)
    if user:
        span.set_user(user)
    if tags:
        span.set_tags(*([tags] if isinstance(tags, str) else tags))
    if metadata:
        span.set_metadata(metadata)
