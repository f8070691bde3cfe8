"""From a trace id to the answer that was judged."""

from penstock.core.errors import NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.feedback.model import Answer
from penstock.feedback.transcript import messages_of, text_of
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord


def _judged_span(uow: UnitOfWork, actor: Actor, trace_id: str, span_id: str | None) -> SpanRecord | None:
    try:
        if span_id is not None:
            return traces.get_span_body(uow, actor, trace_id=trace_id, span_id=span_id)
        last = traces.last_call(uow, actor, trace_id=trace_id)
        if last is None:
            return None
        return traces.get_span_body(uow, actor, trace_id=trace_id, span_id=last)
    except NotFound:
        return None


def find_answer(uow: UnitOfWork, actor: Actor, trace_id: str, span_id: str | None) -> Answer | None:
    """Return the answer of the span (default: the trace's last model call), or None when it is not recorded.

    None too when the call's bodies were not captured or are not plain text.
    """
    span = _judged_span(uow, actor, trace_id, span_id)
    if span is None:
        return None
    messages, text = messages_of(span.input), text_of(span.output)
    if not messages or text is None:
        return None
    route = span.route or span.requested_model or span.model or ""
    return Answer(trace_id, span.span_id, messages, text, route, span.user or "")


def describe_call(uow: UnitOfWork, actor: Actor, trace_id: str, span_id: str | None) -> tuple[str, str]:
    """Return (route, user) of the judged call; empty texts when the trace is not stored yet."""
    span = _judged_span(uow, actor, trace_id, span_id)
    if span is None:
        return "", ""
    return span.route or span.requested_model or span.model or "", span.user or ""
