"""Answers in queues as feedback: what people say of a trace is found, counted and shown like any other judgement."""

from collections.abc import Mapping
from typing import Any

from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.feedback import service, store
from penstock.feedback.model import Kind, Value
from penstock.feedback.queues.model import Item, Label, LabelType, Queue, QueueKind, Values, Work
from penstock.feedback.service import About, Given

_TEXTS: Mapping[LabelType, Kind] = {
    LabelType.CATEGORICAL: Kind.LABEL,
    LabelType.TEXT: Kind.COMMENT,
    LabelType.CORRECTION: Kind.CORRECTION,
}
JUDGEMENT = "judgement"
"""Kind of an answer in lineage."""
ANNOTATOR, ADJUDICATOR = "annotator", "adjudicator"


def _value(label: Label, value: Any) -> Value:
    if label.type in _TEXTS:
        is_example = label.name == Kind.DEMONSTRATION
        return Value(Kind.DEMONSTRATION if is_example else _TEXTS[label.type], text=value)
    named = {"thumb": Kind.THUMB, "rating": Kind.RATING}
    return Value(named.get(label.name, Kind.SCORE), number=float(value))


def origin_of(content: Mapping[str, Any] | None, role: str) -> list[Link]:
    """Return the link to the dataset version or run that a row came from; empty for other contents."""
    origin = (content or {}).get("origin")
    return [Link(str(origin["kind"]), str(origin["ref"]), role)] if origin else []


def judge(uow: UnitOfWork, actor: Actor, queue: Queue, item: Item, work: Work) -> None:
    """Link the answer to what it is about, and record it as feedback on the item's trace, if it has one."""
    named = [item.trace_id, item.other_trace_id]
    about = [Link("trace", trace_id, "about") for trace_id in named if trace_id]
    about += origin_of(item.content, "about")
    uow.link(actor.scope, (JUDGEMENT, work.id), about)
    _record(uow, actor, queue, item, by=(work.id, ANNOTATOR), values=work.answer or {}, comment=work.comment)


def decide(uow: UnitOfWork, actor: Actor, queue: Queue, item: Item, values: Values, comment: str) -> None:
    """Record an adjudicator's decision as feedback on the item's trace, in place of an earlier decision."""
    _withdraw(uow, actor, queue, item.id)
    _record(uow, actor, queue, item, by=(item.id, ADJUDICATOR), values=values, comment=comment)


def unjudge(uow: UnitOfWork, actor: Actor, queue: Queue, work: Work) -> None:
    """Take the feedback of an answer back."""
    _withdraw(uow, actor, queue, work.id)


def _record(
    uow: UnitOfWork,
    actor: Actor,
    queue: Queue,
    item: Item,
    *,
    by: tuple[str, str],
    values: Values,
    comment: str,
) -> None:
    if queue.spec.kind is not QueueKind.TRACE or item.gold is not None:
        return
    about = About(item.trace_id, item.span_id or None)
    for label in queue.spec.labels:
        if label.name in values:
            value = _value(label, values[label.name])
            key = f"{by[0]}:{label.name}"
            service.record(uow, actor, about, Given(label.name, value, comment, by[1], "", key))


def _withdraw(uow: UnitOfWork, actor: Actor, queue: Queue, of: str) -> None:
    for label in queue.spec.labels:
        given = store.by_key(uow.conn, actor.scope, f"{of}:{label.name}")
        if given is not None:
            service.withdraw(uow, actor, id=given.id)
