"""From an OpenTelemetry span of any dialect to a SpanRecord; what no table knows stays in `attributes`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.traces import dialects, documents, estimate, settled, tokens
from penstock.traces.model import Kind, SpanEvent, SpanRecord, Status
from penstock.traces.price_terms import with_finer
from penstock.traces.prices import Cost, Usage
from penstock.traces.reading import Reading
from penstock.traces.tokens import Counts

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


_KINDS = {key: table for dialect in dialects.DIALECTS for key, table in dialect.kind_keys.items()}
_STATUS: tuple[Status, Status, Status] = ("unset", "ok", "error")
_TIMED = frozenset({"ttft_s", "ttft_ms", "first_token_at"})
_CONVERSATIONS = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "pydantic_ai.all_messages",
        "all_messages_events",
        "final_result",
    }
)
"""Attributes that hold messages whatever the kind of the span."""


def _kind(attributes: Mapping[str, Any]) -> Kind:
    for key in dialects.KIND_ORDER:
        value = attributes.get(key)
        if isinstance(value, str):
            kind = _KINDS[key].get(value.strip('"').lower())
            if kind is not None:
                return kind
    for key, kind in dialects.KIND_BY_PRESENCE:
        if key in attributes:
            return kind
    return "other"


def _shape(reading: Reading, kind: Kind, name: str) -> documents.Shape:
    """Return what the document `name` (input or output) of a span of `kind` is."""
    if kind == "llm" or reading.key(name) in _CONVERSATIONS:
        return "asked" if name == "input" else "said"
    return "documents" if kind == "retriever" and name == "output" else "plain"


def _documents(reading: Reading, span: OtlpSpan, kind: Kind) -> tuple[bytes | None, bytes | None, list[Any]]:
    given = reading.document("input", _shape(reading, kind, "input"))
    system = reading.value("system")
    if system is not None:
        given = documents.with_system(system, given)
    answer = settled.vercel(reading) or reading.document("output", _shape(reading, kind, "output"))
    return documents.from_events(span.events, given, answer)


def _ttft(reading: Reading, span: OtlpSpan) -> int | None:
    if not span.events and _TIMED.isdisjoint(reading.values):
        return None
    for name, unit in (("ttft_s", 1e9), ("ttft_ms", 1e6)):
        value = reading.value(name)
        if isinstance(value, int | float) and 0 <= value < 1e9:
            return int(value * unit)
    at = documents.moment_ns(reading.value("first_token_at"))
    if at is None:
        at = min((at for name, at, _ in span.events if name in dialects.FIRST_TOKEN_EVENTS), default=None)
    return None if at is None or at < span.start_ns else at - span.start_ns


def _environment(reading: Reading, span: OtlpSpan) -> str | None:
    found = reading.text("environment")
    if found is None:
        value = span.resource.get("deployment.environment.name", span.resource.get("deployment.environment"))
        found = str(value) if value else None
    return found


def _rest(reading: Reading, span: OtlpSpan) -> dict[str, Any]:
    rest = reading.rest
    if span.resource:
        rest["resource"] = span.resource
    if span.scope:
        rest["scope"] = span.scope
    return rest


def to_record(span: OtlpSpan, pricing: Pricing) -> SpanRecord:
    """Return the record of `span`, priced by `pricing` unless it brings its own cost.

    Only spans that call a model (llm, embedding) count tokens and cost: agents and chains repeat their children's.
    Where a call brings no counts they are estimated from its text (see `estimate`).
    """
    kind = _kind(span.attributes)
    counted = kind in ("llm", "embedding")
    reading = Reading(span.attributes, counted)
    given, answer, events = _documents(reading, span, kind)
    status = settled.status(reading, _STATUS[span.status_code] if 0 <= span.status_code <= 2 else "unset")
    metadata = settled.metadata(reading, span.resource)
    evaluations, events = settled.evaluations(reading, events)
    metadata |= settled.scores(evaluations)
    model, requested = settled.models(reading, kind)
    provider = settled.provider(reading)
    record: dict[str, Any] = {}
    if counted:
        counts, estimated = _counts(
            reading, span, kind, model if status != "error" else None, (given, answer)
        )
        record = _billed(counts, _cost(reading, counts, model, provider, pricing)) | {
            "tokens_estimated": estimated
        }
    return SpanRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id or None,
        name=span.name or "(unnamed)",
        kind=kind,
        status=status,
        error=settled.error(reading, status, span.status_message, span.events),
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        ttft_ns=_ttft(reading, span),
        model=model,
        requested_model=requested,
        provider=provider,
        user=reading.text("user") or settled.person(metadata, settled.USER_KEYS),
        session=reading.text("session") or settled.person(metadata, settled.SESSION_KEYS),
        environment=_environment(reading, span),
        metadata=metadata,
        input=given,
        output=answer,
        evaluations=evaluations,
        **settled.details(reading, kind),
        **record,
        attributes=_rest(reading, span),
        events=tuple(SpanEvent(name=name, at_ns=at, attributes=held) for name, at, held in events),
    )


def _counts(
    reading: Reading, span: OtlpSpan, kind: Kind, model: str | None, said: tuple[bytes | None, bytes | None]
) -> tuple[Counts, bool]:
    """Return what the call used, and whether that had to be estimated (only for a `model` that is known)."""
    counts = tokens.of(reading, span.attributes)
    if counts.any or not model:
        return counts, False
    counts = estimate.counts(kind, model, *said)
    return counts, counts.any


def _billed(counts: Counts, cost: Cost | None) -> dict[str, Any]:
    return {
        "input_tokens": counts.input,
        "output_tokens": counts.output,
        "cached_tokens": counts.cached,
        "cache_write_tokens": counts.cache_write,
        "reasoning_tokens": counts.reasoning,
        "finer_tokens": counts.finer,
        "cost_usd": None if cost is None else cost.usd,
        "price_version": None if cost is None else cost.version,
    }


def _given_cost(reading: Reading) -> float | None:
    value = reading.value("cost")
    if value is None:
        parts = documents.as_object(reading.value("costs"))
        value = parts.get("total", parts.get("total_cost"))
        if value is None and parts:
            value = sum(part for part in parts.values() if isinstance(part, int | float))
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _cost(
    reading: Reading, counts: Counts, model: str | None, provider: str | None, pricing: Pricing
) -> Cost | None:
    given = _given_cost(reading)
    if given is not None and given >= 0:
        return Cost(given, "given")
    if not counts.any:
        return None
    usage = Usage(
        input=counts.input,
        output=counts.output,
        cached=counts.cached,
        cache_write=counts.cache_write,
        reasoning=counts.reasoning,
    )
    return pricing(model, provider, with_finer(usage, counts.finer))
