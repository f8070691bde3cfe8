"""Spans made ready for the database before any lock is taken: tuples, packed bodies, facets."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.traces import body, unindexed
from penstock.traces.model import KINDS, PREVIEW_CHARS, STATUSES, Evaluation, SpanRecord

SPAN_COLUMNS = (
    "span_id",
    "parent_id",
    "name",
    "kind",
    "status",
    "start_ns",
    "end_ns",
    "ttft_ns",
    "model",
    "requested_model",
    "provider",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "tokens_estimated",
    "cost_nano",
    "price_version",
    "user",
    "session",
    "key_id",
    "route",
    "environment",
    "prompt",
    "error",
    "input_preview",
    "output_preview",
    "response_id",
    "service",
    "agent",
)
"""The order of `Prepared.row`."""

READ_COLUMNS = (*SPAN_COLUMNS, "duplicate_of")
"""What a stored row has besides: which of several reports of one call counts is settled after it is written."""

AT = {name: place for place, name in enumerate(SPAN_COLUMNS)}
KIND_CODES = {name: code for code, name in enumerate(KINDS)}
STATUS_CODES = {name: code for code, name in enumerate(STATUSES)}
CALL_KINDS = frozenset({KIND_CODES["llm"], KIND_CODES["embedding"]})
"""Kinds that are calls of a model: only these carry tokens and cost."""

ERROR = STATUS_CODES["error"]
SERVICE = "service.name"
"""The metadata that says which service sent a span."""
_CACHE = "gateway.cache"
"""The attribute in which the gateway says what its cache did."""
_LARGEST = (1 << 63) - 1
_TOKENS = (1 << 40) - 1
_NAME_CHARS, _LABEL_CHARS, _ERROR_CHARS, MAX_FACETS = 300, 200, 2000, 128
MORE_LABELS, MORE_ATTRIBUTES = ("more", "labels"), ("more", "attributes")
"""Entries of traces with a span that holds more than the side table, or the full-text index, is told of it."""
METADATA = "metadata"
"""The key of entries that say which keys of metadata a trace has."""
_KEYED = METADATA + "."


@dataclass(slots=True)
class Prepared:
    """A span ready to be written."""

    scope: Scope
    trace_id: bytes
    row: tuple[Any, ...]
    body: bytes
    facets: tuple[tuple[str, str], ...]
    scores: tuple[tuple[str, float], ...] = ()
    """Name and number of what the sender judged of the span."""


def clean(text: str, chars: int) -> str:
    """Return `text` cut to `chars`, without what a database's text type refuses: NUL and lone surrogates."""
    text = text[:chars]
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def clean_label(text: str) -> str:
    """Return `text` as facets keep it."""
    return clean(text, _LABEL_CHARS)


def label(value: str | None) -> str | None:
    """Return `value` cut and cleaned to be searched by; None when it is empty."""
    return clean(value, _LABEL_CHARS) if value else None


def identifier(value: str, length: int, what: str) -> bytes:
    """Return the bytes of an id in hex; raises Invalid unless it has `length` of them, not all 0."""
    try:
        raw = bytes.fromhex(value)
    except ValueError as error:
        raise Invalid(f"{value!r} is not a {what}.", hint=f"A {what} is {2 * length} hex digits.") from error
    if len(raw) != length or not any(raw):
        raise Invalid(f"{value!r} is not a {what}.", hint=f"A {what} is {2 * length} hex digits, not all 0.")
    return raw


def _count(value: int) -> int:
    return value if 0 <= value <= _TOKENS else 0 if value < 0 else _TOKENS


def _moment(value: int) -> int:
    return value if 0 <= value <= _LARGEST else 0 if value < 0 else _LARGEST


def preview(document: bytes | None) -> str | None:
    """Return the first 200 characters of a JSON document, without the quotes of a plain string."""
    if not document:
        return None
    text = document[: PREVIEW_CHARS * 4 + 4].decode("utf-8", "ignore")
    if text[0] == '"':
        text = text[1:].replace('\\"', '"').replace("\\n", "\n")
        if len(document) <= PREVIEW_CHARS * 4 + 4:
            text = text.removesuffix('"')
    return clean(text, PREVIEW_CHARS)


def _labels(span: SpanRecord) -> dict[str, str | None]:
    return {
        "model": label(span.model),
        "provider": label(span.provider),
        "user": label(span.user),
        "session": label(span.session),
        "key": label(span.key_id),
        "route": label(span.route),
        "environment": label(span.environment),
        "prompt": label(span.prompt),
    }


def facets_of(span: SpanRecord) -> tuple[tuple[str, str], ...]:
    """Return the (key, value) pairs by which the trace of `span` can be found."""
    return _facets(span, _labels(span))


def _facets(span: SpanRecord, labels: dict[str, str | None]) -> tuple[tuple[str, str], ...]:
    found = [(key, value) for key, value in labels.items() if value]
    found.append(("kind", span.kind))
    if span.agent:
        found.append(("agent", clean(span.agent, _LABEL_CHARS)))
    if span.tool:
        found.append(("tool", clean(span.tool, _LABEL_CHARS)))
    if span.status == "error":
        found.append(("status", "error"))
    if span.name:
        found.append(("name", clean(span.name, _LABEL_CHARS)))
    if isinstance(cache := span.attributes.get(_CACHE), str):
        found.append(("cache", clean(cache, _LABEL_CHARS)))
    if span.requested_model and span.requested_model != span.model:
        found.append(("model", clean(span.requested_model, _LABEL_CHARS)))
    found.extend(("tag", clean(tag, _LABEL_CHARS)) for tag in span.tags if tag)
    found.extend(
        (clean(_KEYED + key, _LABEL_CHARS), clean(value, _LABEL_CHARS))
        for key, value in span.metadata.items()
        if value
    )
    more = [MORE_LABELS] if len(found) > MAX_FACETS or _long(span) else []
    if unindexed.attributes(span.attributes, span.parameters):
        more.append(MORE_ATTRIBUTES)
    told = found[:MAX_FACETS]
    if span.metadata:
        told += [(METADATA, key[len(_KEYED) :]) for key, _ in told if key.startswith(_KEYED)]
    return (*told, *more)


def _long(span: SpanRecord) -> bool:
    """Whether a tag, or the key or value of metadata, is cut in its entry."""
    longest = _LABEL_CHARS - len(_KEYED)
    return any(len(tag) > _LABEL_CHARS for tag in span.tags) or any(
        len(key) > longest or len(value) > _LABEL_CHARS for key, value in span.metadata.items()
    )


def prepare(scope: Scope, span: SpanRecord) -> Prepared:
    """Return `span` ready for `write`; raises Invalid for malformed ids.

    Numbers out of range are brought to the nearest possible one and overlong labels cut: a trace store keeps what
    it is sent.
    """
    labels = _labels(span)
    start = _moment(span.start_ns)
    row = (
        identifier(span.span_id, 8, "span id"),
        identifier(span.parent_id, 8, "span id") if span.parent_id else None,
        clean(span.name, _NAME_CHARS),
        KIND_CODES[span.kind],
        STATUS_CODES[span.status],
        start,
        max(start, _moment(span.end_ns)),
        None if span.ttft_ns is None else _moment(span.ttft_ns),
        labels["model"],
        label(span.requested_model),
        labels["provider"],
        _count(span.input_tokens),
        _count(span.output_tokens),
        _count(span.cached_tokens),
        _count(span.cache_write_tokens),
        _count(span.reasoning_tokens),
        span.tokens_estimated,
        _nano(span.cost_usd),
        label(span.price_version),
        labels["user"],
        labels["session"],
        labels["key"],
        labels["route"],
        labels["environment"],
        labels["prompt"],
        clean(span.error, _ERROR_CHARS) if span.error else None,
        preview(span.input),
        preview(span.output),
        label(span.response_id),
        label(span.metadata.get(SERVICE)),
        label(span.agent),
    )
    return Prepared(
        scope,
        identifier(span.trace_id, 16, "trace id"),
        row,
        body.pack(span),
        _facets(span, labels),
        judged(span.evaluations),
    )


def judged(found: Iterable[Evaluation]) -> tuple[tuple[str, float], ...]:
    """Return the evaluation results that are numbers, by which traces can be found as by other scores."""
    return tuple((one.name, one.score) for one in found if one.score is not None and math.isfinite(one.score))


def _nano(cost_usd: float | None) -> int | None:
    if cost_usd is None or not 0 <= cost_usd < 1e9:
        return None
    return round(cost_usd * 1e9)
