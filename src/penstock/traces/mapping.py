"""From an OpenTelemetry span of any dialect to a SpanRecord; what no table knows stays in `attributes`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.traces import dialects, documents
from penstock.traces.model import Kind, SpanEvent, SpanRecord, Status
from penstock.traces.prices import Cost, Usage

Pricing = Callable[[str | None, str | None, Usage], Cost | None]
"""(model, provider, usage) → cost."""


class OtlpSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span as OTLP carries it, with ids in hex and values as plain Python."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: dict[str, Any]
    events: Sequence[tuple[str, int, dict[str, Any]]]
    resource: Mapping[str, Any]
    scope: Mapping[str, Any]


def _ranked() -> dict[str, tuple[str, int]]:
    """Return attribute key → (field, rank), lower ranks winning."""
    ranked: dict[str, tuple[str, int]] = {}
    for name in sorted({name for dialect in dialects.DIALECTS for name in dialect.fields}):
        keys = [key for dialect in dialects.DIALECTS for key in dialect.fields.get(name, ())]
        ranked.update({key: (name, rank) for rank, key in enumerate(keys) if key not in ranked})
    return ranked


_FIELDS = _ranked()
_LISTS = {
    prefix: (name, place)
    for name in ("input", "output")
    for place, prefix in enumerate(
        prefix for dialect in dialects.DIALECTS for prefix in dialect.lists.get(name, ())
    )
}
_LIST_PREFIXES = tuple(prefix + "." for prefix in _LISTS)
_METADATA = tuple(prefix for dialect in dialects.DIALECTS for prefix in dialect.prefixes.get("metadata", ()))
_PREFIXES = _LIST_PREFIXES + _METADATA
_KINDS = {key: table for dialect in dialects.DIALECTS for key, table in dialect.kind_keys.items()}
_STATUS: tuple[Status, Status, Status] = ("unset", "ok", "error")
_STRUCTURED_RANK = 100
_COUNTED = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost",
        "usage",
        "costs",
    }
)
_PLAIN_DOCUMENTS = frozenset(
    {"input.value", "output.value", "traceloop.entity.input", "traceloop.entity.output"}
)
"""Documents that repeat what structured messages say better: used only when there are none."""


class _Reading:
    """One span while it is read: the best value of each field, and what is left."""

    __slots__ = ("fields", "lists", "metadata", "ranks", "rest")

    def __init__(self, attributes: Mapping[str, Any], counted: bool) -> None:
        self.fields: dict[str, tuple[str, Any]] = {}
        self.ranks: dict[str, int] = {}
        self.lists: dict[str, dict[str, Any]] = {}
        self.metadata: dict[str, str] = {}
        self.rest: dict[str, Any] = {}
        for key, value in attributes.items():
            known = _FIELDS.get(key)
            if known is not None and (counted or known[0] not in _COUNTED):
                self._offer(key, value, *known)
            elif not key.startswith(_PREFIXES) or not self._take_prefixed(key, value):
                self.rest[key] = documents.shortened(key, value)

    def _offer(self, key: str, value: Any, name: str, rank: int) -> None:
        best = self.ranks.get(name)
        if best is None:
            self.fields[name] = (key, value)
            self.ranks[name] = rank
            return
        held_key, held = self.fields[name]
        if rank < best:
            self.fields[name] = (key, value)
            self.ranks[name] = rank
            key, value, held = held_key, held, value
        if value != held:
            self.rest[key] = value

    def _take_prefixed(self, key: str, value: Any) -> bool:
        for prefix in _LIST_PREFIXES:
            if key.startswith(prefix) and key[len(prefix) : len(prefix) + 1].isdigit():
                self.lists.setdefault(prefix[:-1], {})[key[len(prefix) :]] = value
                return True
        for prefix in _METADATA:
            if key.startswith(prefix):
                self.metadata[key[len(prefix) :]] = documents.as_text(value)
                return True
        return False

    def value(self, name: str) -> Any:
        """Return the best value of a field, or None."""
        found = self.fields.get(name)
        return None if found is None else found[1]

    def text(self, name: str) -> str | None:
        """Return a field as text; None when it is missing or empty."""
        value = self.value(name)
        return None if value is None or value == "" else documents.as_text(value)

    def document(self, name: str) -> bytes | None:
        """Return the input or output: structured messages first, then flattened lists, then plain values."""
        found: bytes | None
        held = self.fields.get(name)
        lists = sorted((_LISTS[prefix][1], prefix) for prefix in self.lists if _LISTS[prefix][0] == name)
        if lists and (held is None or held[0] in _PLAIN_DOCUMENTS):
            if held is not None:
                documents.keep_unless_repeated(self.rest, held, self.lists[lists[0][1]])
            chosen = lists.pop(0)[1]
            found = documents.from_list(self.lists[chosen])
        else:
            found = None if held is None else documents.from_value(held[1])
        for _, prefix in lists:
            documents.keep_list_unless_repeated(self.rest, prefix, self.lists[prefix], found)
        if name == "input" and (system := self.value("system")) is not None:
            found = documents.with_system(system, found)
        return found


def _kind(attributes: Mapping[str, Any]) -> Kind:
    for key in dialects.KIND_ORDER:
        value = attributes.get(key)
        if isinstance(value, str):
            kind = _KINDS[key].get(value.lower())
            if kind is not None:
                return kind
    for key, kind in dialects.KIND_BY_PRESENCE:
        if key in attributes:
            return kind
    return "other"


def _count(value: Any) -> int:
    """Return a token count: JSON and some SDKs send numbers as text or float."""
    try:
        number = int(float(value)) if value is not None and not isinstance(value, bool) else 0
    except (TypeError, ValueError, OverflowError):
        return 0
    return max(0, number)


_USAGE_KEYS = {
    "input_tokens": ("input", "input_tokens", "prompt_tokens"),
    "output_tokens": ("output", "output_tokens", "completion_tokens"),
    "total_tokens": ("total", "total_tokens"),
    "cached_tokens": ("cache_read_input_tokens", "input_cached_tokens", "cached_tokens"),
    "cache_write_tokens": ("cache_creation_input_tokens",),
    "reasoning_tokens": ("output_reasoning_tokens", "reasoning_tokens"),
}


def _counts(reading: _Reading) -> dict[str, int]:
    """Return the token classes with `input` and `output` as totals (see SpanRecord)."""
    nested = documents.as_object(reading.value("usage"))
    counts = {}
    for name, keys in _USAGE_KEYS.items():
        counts[name] = _count(reading.value(name)) or next(
            (_count(nested[k]) for k in keys if k in nested), 0
        )
    total = counts.pop("total_tokens")
    if not counts["input_tokens"] and total > counts["output_tokens"]:
        counts["input_tokens"] = total - counts["output_tokens"]
    elif not counts["output_tokens"] and total > counts["input_tokens"]:
        counts["output_tokens"] = total - counts["input_tokens"]
    cache = counts["cached_tokens"] + counts["cache_write_tokens"]
    if cache > counts["input_tokens"]:
        # A part cannot exceed the whole: this instrumentation counts the cache beside the input.
        counts["input_tokens"] += cache
    counts["reasoning_tokens"] = min(counts["reasoning_tokens"], counts["output_tokens"])
    return counts


def _given_cost(reading: _Reading) -> float | None:
    value = reading.value("cost")
    if value is None:
        value = documents.as_object(reading.value("costs")).get("total")
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _ttft(reading: _Reading, span: OtlpSpan) -> int | None:
    for name, unit in (("ttft_s", 1e9), ("ttft_ms", 1e6)):
        value = reading.value(name)
        if isinstance(value, int | float) and 0 <= value < 1e9:
            return int(value * unit)
    at = documents.moment_ns(reading.value("first_token_at"))
    if at is None:
        at = min((at for name, at, _ in span.events if name in dialects.FIRST_TOKEN_EVENTS), default=None)
    return None if at is None or at < span.start_ns else at - span.start_ns


def _error(reading: _Reading, span: OtlpSpan) -> str | None:
    if span.status_code != 2:
        return None
    for name, _, attributes in span.events:
        if name == "exception":
            parts = (attributes.get("exception.type"), attributes.get("exception.message"))
            said = ": ".join(str(part) for part in parts if part)
            return said or span.status_message or reading.text("error")
    return span.status_message or reading.text("error")


def _environment(reading: _Reading, span: OtlpSpan) -> str | None:
    found = reading.text("environment")
    if found is None:
        value = span.resource.get("deployment.environment.name", span.resource.get("deployment.environment"))
        found = str(value) if value else None
    return found


def _metadata(reading: _Reading, span: OtlpSpan) -> dict[str, str]:
    metadata = {
        str(k): documents.as_text(v) for k, v in documents.as_object(reading.value("metadata")).items()
    }
    service = span.resource.get("service.name")
    if service and service != "unknown_service":
        metadata["service.name"] = documents.as_text(service)
    return metadata | reading.metadata


def _tags(reading: _Reading) -> tuple[str, ...]:
    value = documents.parsed(reading.value("tags"))
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return tuple(str(tag) for tag in value if tag) if isinstance(value, list) else ()


def _rest(reading: _Reading, span: OtlpSpan) -> dict[str, Any]:
    rest = reading.rest
    if span.resource:
        rest["resource"] = span.resource
    if span.scope:
        rest["scope"] = span.scope
    return rest


def to_record(span: OtlpSpan, pricing: Pricing) -> SpanRecord:
    """Return the record of `span`, priced by `pricing` unless it brings its own cost.

    Only spans that call a model (llm, embedding) count tokens and cost: agents and chains repeat their children's.
    """
    kind = _kind(span.attributes)
    counted = kind in ("llm", "embedding")
    reading = _Reading(span.attributes, counted)
    given, answer, events = documents.from_events(
        span.events, reading.document("input"), reading.document("output")
    )
    requested = reading.text("requested_model")
    model, provider = reading.text("model") or requested, reading.text("provider")
    counts = _counts(reading) if counted else {}
    cost = _cost(reading, counts, model, provider, pricing) if counted else None
    version = reading.text("prompt_version")
    prompt = reading.text("prompt_name")
    return SpanRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id or None,
        name=span.name or "(unnamed)",
        kind=kind,
        status=_STATUS[span.status_code] if 0 <= span.status_code <= 2 else "unset",
        error=_error(reading, span),
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        ttft_ns=_ttft(reading, span),
        model=model,
        requested_model=requested,
        provider=provider,
        input_tokens=counts.get("input_tokens", 0),
        output_tokens=counts.get("output_tokens", 0),
        cached_tokens=counts.get("cached_tokens", 0),
        cache_write_tokens=counts.get("cache_write_tokens", 0),
        reasoning_tokens=counts.get("reasoning_tokens", 0),
        cost_usd=None if cost is None else cost.usd,
        price_version=None if cost is None else cost.version,
        user=reading.text("user"),
        session=reading.text("session"),
        environment=_environment(reading, span),
        prompt=f"{prompt}@{version}" if prompt and version else prompt,
        tags=_tags(reading),
        metadata=_metadata(reading, span),
        input=given,
        output=answer,
        attributes=_rest(reading, span),
        events=_events(events),
    )


def _events(events: Sequence[documents.Event]) -> tuple[SpanEvent, ...]:
    return tuple(SpanEvent(name=name, at_ns=at, attributes=attributes) for name, at, attributes in events)


def _cost(
    reading: _Reading, counts: Mapping[str, int], model: str | None, provider: str | None, pricing: Pricing
) -> Cost | None:
    given = _given_cost(reading)
    if given is not None and given >= 0:
        return Cost(given, "given")
    usage = Usage(
        input=counts["input_tokens"],
        output=counts["output_tokens"],
        cached=counts["cached_tokens"],
        cache_write=counts["cache_write_tokens"],
        reasoning=counts["reasoning_tokens"],
    )
    return pricing(model, provider, usage) if usage.input or usage.output else None
