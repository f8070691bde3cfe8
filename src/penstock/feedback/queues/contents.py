"""What an annotator gets to see of an item."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.feedback.queues.model import Item, QueueKind, Suggestion
from penstock.feedback.transcript import messages_of, text_of
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord

MOST_BYTES = 500_000
"""Largest row that is shown, as JSON."""
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages", "prompt", "question", "input", "instruction"),
    "output": ("output", "completion", "answer", "response"),
    "reference": ("reference", "expected", "target", "label"),
    "a": ("a", "answer_a", "response_a", "output_a", "chosen"),
    "b": ("b", "answer_b", "response_b", "output_b", "rejected"),
    "suggestion": ("suggestion",),
}
"""Part of an item → the columns it is taken from, the first that a row has."""


def _raw(document: bytes | None) -> Any:
    if document is None:
        return None
    try:
        return msgspec.json.decode(document)
    except msgspec.DecodeError:
        return document.decode("utf-8", "replace")


def call_of(uow: UnitOfWork, actor: Actor, trace_id: str, span_id: str = "") -> SpanRecord | None:
    """Return the span to judge: the named one, else the last model call that succeeded, else the root; None if gone."""
    try:
        if not span_id:
            choices = (traces.last_call, traces.root_of, traces.first_span)
            found = (choice(uow, actor, trace_id=trace_id) for choice in choices)
            span_id = next((chosen for chosen in found if chosen is not None), "")
        return traces.get_span_body(uow, actor, trace_id=trace_id, span_id=span_id)
    except NotFound:
        return None


def shown(call: SpanRecord) -> dict[str, Any]:
    """Return what is shown of a recorded call; what is not plain text is there as it was recorded, under `raw`."""
    messages, output = messages_of(call.input), text_of(call.output)
    found: dict[str, Any] = {
        "trace_id": call.trace_id,
        "span_id": call.span_id,
        "name": call.name,
        "model": call.model or call.requested_model or "",
        "route": call.route or "",
        "messages": list(messages),
        "output": output,
        "error": call.error,
    }
    if not messages or output is None:
        found["raw"] = {"input": _raw(call.input), "output": _raw(call.output)}
    return found


def of_item(uow: UnitOfWork, actor: Actor, item: Item) -> dict[str, Any] | None:
    """Return an item's content, read from its traces where it has some; None when those are gone."""
    if item.content is not None:
        return item.content
    first = call_of(uow, actor, item.trace_id, item.span_id)
    if first is None:
        return None
    found = shown(first)
    if not item.other_trace_id:
        return found
    second = call_of(uow, actor, item.other_trace_id)
    if second is None:
        return None
    return {"messages": found["messages"], "a": found["output"], "b": shown(second)["output"]}


def _messages(value: Any) -> Any:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    is_chat = isinstance(value, list) and all(isinstance(part, Mapping) and "role" in part for part in value)
    return value if is_chat else [{"role": "user", "content": msgspec.json.encode(value).decode()}]


def part_of(row: Mapping[str, Any], part: str, fields: Mapping[str, str]) -> Any:
    """Return what a row says of `part`, from the column in `fields` or the usual ones; None when it has none."""
    names = (fields[part],) if part in fields else COLUMNS[part]
    return next((row[name] for name in names if row.get(name) is not None), None)


def of_row(
    kind: QueueKind, row: Mapping[str, Any], fields: Mapping[str, str], origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content made of a dataset row; raises Invalid when it has no pair, or is too large."""
    # Whoever must not see a suggestion must not find it among the columns either.
    hidden = fields.get("suggestion", "suggestion")
    found: dict[str, Any] = {"row": {name: value for name, value in row.items() if name != hidden}, **origin}
    asked = part_of(row, "messages", fields)
    if asked is not None:
        found["messages"] = _messages(asked)
    parts = ("a", "b") if kind is QueueKind.PAIR else ("output", "reference")
    for part in parts:
        value = part_of(row, part, fields)
        if value is not None:
            found[part] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if kind is QueueKind.PAIR and not ("a" in found and "b" in found):
        raise Invalid("the row has no pair of answers")
    if len(msgspec.json.encode(found)) > MOST_BYTES:
        raise Invalid(f"the row is larger than {MOST_BYTES} bytes")
    return found


def suggestion_of(row: Mapping[str, Any], fields: Mapping[str, str]) -> Suggestion | None:
    """Return the suggestion that a row brings along (`{values, confidence?, model?}`), or None."""
    found = part_of(row, "suggestion", fields)
    if isinstance(found, str):
        try:
            found = msgspec.json.decode(found)
        except msgspec.DecodeError:
            return None
    if not isinstance(found, Mapping):
        return None
    try:
        return msgspec.convert(found, Suggestion)
    except msgspec.ValidationError:
        return None


def digest(value: Any) -> str:
    """Return what makes a content the same content: 40 hex digits of its SHA-256, whatever the order of keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:40]


def text_for_sketch(content: Mapping[str, Any]) -> str:
    """Return the words of a content that say what it is about."""
    asked = content.get("messages") or [content.get("row")]
    return " ".join(str(part.get("content", part) if isinstance(part, Mapping) else part) for part in asked)
