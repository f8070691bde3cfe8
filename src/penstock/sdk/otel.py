"""OpenTelemetry beside us in one process: its spans go through our exporter, either side's are the other's children.

The library is looked up by name when a program asks for it (`penstock.instrument`); nothing here imports it.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from penstock.sdk import runtime
from penstock.sdk.capture import clipped
from penstock.sdk.current import Parent, Remote, bridge, current
from penstock.sdk.errors import ConfigError
from penstock.sdk.otlp import LARGEST_INTEGER, Record, attribute, event
from penstock.sdk.quiet import fault
from penstock.sdk.spans import SPAN_BYTES

PIP = "pip install opentelemetry-sdk"
_STATUS = {"UNSET": 0, "OK": 1, "ERROR": 2}


class ForeignSpan:
    """A finished span of OpenTelemetry's SDK, queued as it is and encoded by the sending thread."""

    __slots__ = ("_span", "size")

    def __init__(self, span: Any) -> None:
        self._span = span
        self.size = SPAN_BYTES + sum(
            len(value) if isinstance(value, str) else 16 for value in (span.attributes or {}).values()
        )

    def otlp(self, mask: Callable[[str], str]) -> tuple[Record, Record, Record]:
        """Return resource, scope and record, every text passed through `mask`."""
        span = self._span
        scope = span.instrumentation_scope
        resource = {"attributes": _attributes(span.resource.attributes, _as_it_is)}
        return resource, {"name": scope.name, "version": scope.version or ""}, self._record(mask)

    def _record(self, mask: Callable[[str], str]) -> Record:
        span = self._span
        record: Record = {
            "traceId": f"{span.context.trace_id:032x}",
            "spanId": f"{span.context.span_id:016x}",
            "name": span.name,
            "kind": span.kind.value + 1,
            "startTimeUnixNano": str(span.start_time),
            "endTimeUnixNano": str(span.end_time),
            "attributes": _attributes(span.attributes, mask),
            "events": [
                {**event(one.timestamp, one.name, {}), "attributes": _attributes(one.attributes, mask)}
                for one in span.events
            ],
            "links": [
                {"traceId": f"{link.context.trace_id:032x}", "spanId": f"{link.context.span_id:016x}"}
                for link in span.links
            ],
            "status": {
                "code": _STATUS.get(span.status.status_code.name, 0),
                "message": mask(span.status.description or ""),
            },
        }
        if span.parent is not None:
            record["parentSpanId"] = f"{span.parent.span_id:016x}"
        return record


class Processor:
    """OpenTelemetry's SpanProcessor, by shape: hands spans to our exporter as they end."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - OpenTelemetry's signature
        """Pass session and user of the surrounding span of ours on to the new one."""
        try:
            around = current()
            if around is not None and around.inherited:
                span.set_attributes(around.inherited)
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault("on_start", error)

    def _on_ending(self, span: Any) -> None:
        """Nothing to add before the end."""

    def on_end(self, span: Any) -> None:
        """Queue a finished span."""
        try:
            if span.context.trace_flags.sampled:
                runtime.exporter().put(ForeignSpan(span))
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault("on_end", error)

    def shutdown(self) -> None:
        """Send what waits."""
        runtime.flush(3.0)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits; return whether that happened in time."""
        return runtime.flush(timeout_millis / 1000)


_processor = Processor()
_PROVIDERS: list[Any] = []


def connect(provider: Any = None) -> Any:
    """Send the spans of OpenTelemetry's `provider` (the program's own, or a new one) to Penstock, and return it.

    Raises ConfigError where OpenTelemetry's SDK is not installed.
    """
    try:
        api = importlib.import_module("opentelemetry.trace")
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        context = importlib.import_module("opentelemetry.context")
    except ImportError as error:
        raise ConfigError(f"This needs OpenTelemetry's SDK. Install it: {PIP}") from error
    chosen = provider or api.get_tracer_provider()
    if not hasattr(chosen, "add_span_processor"):
        named = runtime.resource()
        chosen = sdk.TracerProvider(resource=resources.Resource.create(named))
        api.set_tracer_provider(chosen)
    if not any(chosen is known for known in _PROVIDERS):
        chosen.add_span_processor(_processor)
        _PROVIDERS.append(chosen)
    _build_bridge(api, context)
    return chosen


def _build_bridge(api: Any, context: Any) -> None:
    def attach(span: Parent) -> Any:
        flags = api.TraceFlags(1 if span.sampled else 0)
        here = api.SpanContext(
            int(span.trace_id, 16), int(span.span_id, 16), is_remote=False, trace_flags=flags
        )
        return context.attach(api.set_span_in_context(api.NonRecordingSpan(here)))

    def parent(ours: Parent | None) -> Remote | None:
        theirs = api.get_current_span().get_span_context()
        if not theirs.is_valid or (ours is not None and int(ours.span_id, 16) == theirs.span_id):
            return None
        found = Remote(
            f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}", sampled=bool(theirs.trace_flags & 1)
        )
        found.inherited = None if ours is None else ours.inherited
        return found

    bridge.attach, bridge.detach, bridge.parent = attach, context.detach, parent


def _as_it_is(text: str) -> str:
    return text


def _attributes(values: Mapping[str, Any] | None, mask: Callable[[str], str]) -> list[Record]:
    return [attribute(name, _masked(value, mask)) for name, value in (values or {}).items()]


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(clipped(value))
    if isinstance(value, list | tuple):
        return [_masked(item, mask) for item in value]
    if isinstance(value, int) and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
        return str(value)
    return value
