"""GenAI's log events become part of the span they belong to, whichever of the two arrives first.

Source: OpenTelemetry semantic conventions for generative AI, "Events" (both the events per message up to 1.36 and
`gen_ai.client.inference.operation.details` since), and `gen_ai.evaluation.result`. Joining again changes nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from penstock.traces import dialects, documents, settled
from penstock.traces.body import SpanBody
from penstock.traces.log_model import LogContent, LogRecord
from penstock.traces.model import Evaluation, SpanEvent
from penstock.traces.otlp_logs import OtlpLog

EVALUATION = "gen_ai.evaluation.result"
EXCEPTIONS = frozenset({"gen_ai.client.operation.exception", "exception"})
EVENTS = (
    frozenset({dialects.CHOICE_EVENT, dialects.DETAIL_EVENT, EVALUATION})
    | EXCEPTIONS
    | frozenset(dialects.MESSAGE_EVENTS)
)
"""Names of the events that are joined."""

FROM_LOGS = "penstock.from_logs"
"""Attribute of a span: which of `input` and `output` log events gave."""
_PER_SPAN = 1000
"""Log events that one span takes in; the others are in the log table alone."""


def joined(held: SpanBody, logs: Iterable[LogRecord]) -> SpanBody:
    """Return `held` with what `logs` (those of its span, in order) say; the span's own messages win."""
    events = list(logs)[:_PER_SPAN]
    given = set(documents.parsed(held.attributes.get(FROM_LOGS)) or ())
    found = _messages(events)
    taken = {
        name: found[name]
        for name in ("input", "output")
        if found[name] is not None and (getattr(held, name) is None or name in given)
    }
    attributes = held.attributes
    if taken:
        attributes = held.attributes | {FROM_LOGS: sorted(given | set(taken))}
    return msgspec.structs.replace(
        held,
        **taken,
        attributes=attributes,
        events=_events(held.events, events),
        metadata=held.metadata | _scores(events),
        evaluations=_evaluations(held.evaluations, events),
    )


def response_of(log: OtlpLog) -> str | None:
    """Return the id of the answer that an evaluation is about, as its sender gives it where it knows no span."""
    if log.event != EVALUATION:
        return None
    values = log.attributes | documents.as_object(log.body)
    name = values.get("gen_ai.response.id")
    return name if isinstance(name, str) and name else None


def error_of(logs: Iterable[LogRecord]) -> str | None:
    """Return what an exception event says went wrong, in the words of a span's error."""
    for log in logs:
        if log.event in EXCEPTIONS:
            said = (log.content.attributes.get(f"exception.{part}") for part in ("type", "message"))
            text = ": ".join(str(part) for part in said if part)
            if text:
                return text
    return None


def _messages(logs: Sequence[LogRecord]) -> dict[str, bytes | None]:
    """Return the documents that the events make; an event with the whole call wins over one per message."""
    asked: list[Any] = []
    said: list[Any] = []
    for log in logs:
        if log.event == dialects.DETAIL_EVENT:
            whole = _whole(log.content)
            if whole["input"] is not None or whole["output"] is not None:
                return whole
        if log.event in dialects.MESSAGE_EVENTS and (message := _fields(log.content)):
            if log.event == dialects.TOOL_EVENT and "id" in message:
                message["tool_call_id"] = message.pop("id")
            asked.append({"role": dialects.MESSAGE_EVENTS[log.event], **message})
        elif log.event == dialects.CHOICE_EVENT and (choice := _fields(log.content)):
            inner = choice.pop("message", None)
            message = documents.as_object(inner) if inner is not None else {}
            said.append({"role": "assistant", **message, **choice})
    return {
        "input": documents.shaped(asked, "asked") if asked else None,
        "output": documents.shaped(said, "said") if said else None,
    }


def _fields(content: LogContent) -> dict[str, Any]:
    """Return what an event says of its message: its body, or attributes where a client puts it there."""
    held = documents.as_object(content.body)
    if not held and isinstance(content.body, str) and content.body:
        held = {"content": content.body}
    if not held:
        keys = ("content", "role", "tool_calls", "id", "message", "index", "finish_reason")
        attributes = {key.removeprefix("gen_ai."): value for key, value in content.attributes.items()}
        held = {key: attributes[key] for key in keys if key in attributes}
    return {key: documents.parsed(value) for key, value in held.items()}


def _whole(content: LogContent) -> dict[str, bytes | None]:
    values = content.attributes | documents.as_object(content.body)
    asked = values.get("gen_ai.input.messages")
    system = values.get("gen_ai.system_instructions")
    said = values.get("gen_ai.output.messages")
    given = None if asked is None else documents.from_value(asked, "asked")
    return {
        "input": given if system is None else documents.with_system(system, given),
        "output": None if said is None else documents.from_value(said, "said"),
    }


def _events(held: Sequence[SpanEvent], logs: Iterable[LogRecord]) -> tuple[SpanEvent, ...]:
    """Return the span's events with evaluations and exceptions, each once, by time."""
    found = list(held)
    for log in logs:
        if log.event == EVALUATION or log.event in EXCEPTIONS:
            attributes = dict(log.content.attributes)
            if log.content.body is not None:
                attributes["body"] = log.content.body
            event = SpanEvent(name=log.event or "", at_ns=log.at_ns, attributes=attributes)
            if event not in found:
                found.append(event)
    return tuple(sorted(found, key=lambda event: event.at_ns)) if len(found) > len(held) else tuple(held)


def _evaluations(held: Sequence[Evaluation], logs: Iterable[LogRecord]) -> tuple[Evaluation, ...]:
    """Return the span's evaluations with those of the logs, each once."""
    found = list(held)
    for log in logs:
        if log.event == EVALUATION:
            values = log.content.attributes | documents.as_object(log.content.body)
            verdict = settled.evaluation(EVALUATION, values)
            if verdict is not None and verdict not in found:
                found.append(verdict)
    return tuple(found)


def _scores(logs: Iterable[LogRecord]) -> dict[str, str]:
    """Return evaluations as metadata, by which traces are found: the label, else the score."""
    found: dict[str, str] = {}
    for log in logs:
        if log.event != EVALUATION:
            continue
        values = log.content.attributes | documents.as_object(log.content.body)
        name = values.get("gen_ai.evaluation.name")
        label, score = (
            values.get("gen_ai.evaluation.score.label"),
            values.get("gen_ai.evaluation.score.value"),
        )
        said = score if label in (None, "") else label
        if name and said is not None:
            found[f"evaluation.{documents.as_text(name)}"] = documents.as_text(said)
    return found
