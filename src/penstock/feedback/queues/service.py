"""The verbs of annotation queues, apart from an annotator's own (`taking`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Conflict, Invalid, PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.feedback import store as judgements
from penstock.feedback.model import ScoreKind
from penstock.feedback.queues import contents, labels
from penstock.feedback.queues.access import find, find_item, leads, must_lead
from penstock.feedback.queues.agreement import agreements
from penstock.feedback.queues.exporting import export
from penstock.feedback.queues.facing import faced_content, seen
from penstock.feedback.queues.filling import (
    Added,
    certainty,
    checked_suggestion,
    fill,
    fill_gold,
    parse_source,
)
from penstock.feedback.queues.judging import decide
from penstock.feedback.queues.model import (
    Agreement,
    Annotator,
    Item,
    ItemState,
    LabelType,
    Progress,
    Queue,
    QueueSpec,
    Source,
    Suggestion,
    Values,
    Work,
    WorkState,
)
from penstock.feedback.queues.reporting import annotators
from penstock.feedback.queues.store import items, lists, reports
from penstock.feedback.queues.store.lists import names_of as names_of
from penstock.feedback.queues.taking import answer, draft, skip, take, undo


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """A queue with how far it is and how far its annotators agree."""

    queue: Queue
    progress: Progress
    agreement: tuple[Agreement, ...]
    annotators: tuple[Annotator, ...]


def parse_spec(uow: UnitOfWork, actor: Actor, data: Mapping[str, Any]) -> QueueSpec:
    """Return the checked spec of a mapping; a label without a type takes it from the project's score config."""
    given = dict(data)
    given["labels"] = [_needed(_typed(uow, actor, label)) for label in given.get("labels", ())]
    try:
        return labels.check_spec(msgspec.convert(given, QueueSpec))
    except msgspec.ValidationError as error:
        raise Invalid(f"The queue does not fit: {error}.") from error


def _typed(uow: UnitOfWork, actor: Actor, label: Any) -> Any:
    if not isinstance(label, Mapping) or label.get("type") is not None:
        return label
    config = judgements.config_named(uow.conn, actor.scope, str(label.get("name", "")))
    if config is None:
        raise Invalid(
            f"The label {label.get('name')!r} needs a type.", hint="Or make a score config of its name."
        )
    found = {**label, "type": str(config.kind)}
    if config.kind is ScoreKind.CATEGORICAL:
        found["options"] = list(config.options)
    if config.low is not None and config.high is not None:
        found["range"] = [config.low, config.high]
    return found


def _needed(label: Any) -> Any:
    """Return the label with `required` filled in: a right answer needs no correction, and not every answer a remark."""
    if not isinstance(label, Mapping) or label.get("required") is not None:
        return label
    return {**label, "required": label["type"] not in (LabelType.CORRECTION, LabelType.TEXT)}


def create(home: Home, actor: Actor, *, spec: Mapping[str, Any]) -> tuple[Queue, Added]:
    """Make a queue and fill it from its source; returns it and what was added.

    Raises Conflict when the name is taken, Invalid for a spec or source that does not fit; nothing is left then.
    """
    with home.begin() as uow:
        checked = parse_spec(uow, actor, spec)
        uow.may(actor, "feedback.write", checked.name)
        now, source = clock.now(), checked.source
        if source is not None and (source.trace_ids or source.pairs):
            checked = msgspec.structs.replace(checked, source=None)  # of no use once they are items
        queue = Queue(
            id=ids.new_id("que"), spec=checked, created_by=actor.id, created_at=now, fed_at=now, swept_at=now
        )
        if not lists.put_queue(uow.conn, actor.scope, queue):
            raise Conflict(f"There is a queue {checked.name!r} already.")
        fill_gold(uow, actor, queue)
        uow.audit(actor, "feedback.queue_create", checked.name)
    if source is None:
        return queue, Added(added=0, known=0, skipped={})
    try:
        return queue, fill(home, actor, queue, source)
    except PenstockError:
        with home.begin() as uow:
            lists.delete_queue(uow.conn, actor.scope, queue.id)
        raise


def change(uow: UnitOfWork, actor: Actor, *, name: str, changes: Mapping[str, Any]) -> Queue:
    """Change a queue: anything but its name and kind, and its labels only while nothing is answered.

    Gold questions can be added. Raises NotFound, Denied, Invalid, Conflict.
    """
    queue = find(uow, actor, name, lock=True)
    must_lead(uow, queue, actor)
    if {"name", "kind"} & set(changes):
        raise Invalid("The name and kind of a queue stay as they are.")
    spec = parse_spec(uow, actor, {**msgspec.to_builtins(queue.spec), **changes})
    if spec.labels != queue.spec.labels and any(
        row[1] == WorkState.ANSWERED for row in reports.annotators(uow.conn, actor.scope, queue)
    ):
        raise Conflict("People have answered these labels already.", hint="Make another queue.")
    queue = msgspec.structs.replace(queue, spec=spec)
    lists.change_queue(uow.conn, actor.scope, queue)
    fill_gold(uow, actor, queue)
    uow.audit(actor, "feedback.queue_change", name)
    return queue


def delete(uow: UnitOfWork, actor: Actor, *, name: str) -> None:
    """Delete a queue with all answers in it; feedback that they became stays. Raises NotFound, Denied."""
    queue = find(uow, actor, name, lock=True)
    must_lead(uow, queue, actor)
    lists.delete_queue(uow.conn, actor.scope, queue.id)
    uow.audit(actor, "feedback.queue_delete", name)


def list_queues(
    uow: UnitOfWork, actor: Actor, *, after: str = "", limit: int = 100
) -> list[tuple[Queue, Progress]]:
    """Return queues by name, after the name `after`, with how far each is."""
    uow.may(actor, "feedback.read")
    found = lists.list_queues(uow.conn, actor.scope, after=after, limit=limit)
    now = clock.now()
    return [(queue, reports.progress(uow.conn, actor.scope, queue, now)) for queue in found]


def overview(uow: UnitOfWork, actor: Actor, *, name: str) -> Overview:
    """Return a queue with its progress, agreement and annotators; raises NotFound."""
    queue = find(uow, actor, name)
    answers = reports.answers(uow.conn, actor.scope, queue)
    return Overview(
        queue=queue,
        progress=reports.progress(uow.conn, actor.scope, queue, clock.now()),
        agreement=tuple(agreements(queue.spec.labels, answers)),
        annotators=tuple(annotators(reports.annotators(uow.conn, actor.scope, queue))),
    )


def add(
    home: Home, actor: Actor, *, name: str, source: Source | Mapping[str, Any], assigned: str = ""
) -> Added:
    """Add items to a queue, for everybody or for the annotator named `assigned`; raises NotFound, Invalid."""
    with home.read() as uow:
        queue = find(uow, actor, name)
        uow.may(actor, "feedback.write", name)
    parsed = source if isinstance(source, Source) else parse_source(source)
    if parsed.follow:
        raise Invalid("Whether a queue follows a query is said in its own source.")
    if len(assigned) > 200:
        raise Invalid("The name of an annotator has at most 200 characters.")
    return fill(home, actor, queue, parsed, assigned=assigned)


def list_items(
    uow: UnitOfWork, actor: Actor, *, name: str, state: str | None = None, after: str = "", limit: int = 100
) -> list[tuple[Item, list[Work]]]:
    """Return items with the work on them that the actor may see, in the order they were added.

    Whoever leads the queue sees everything. Others see their own work, and everybody's on items that are done; gold
    questions look to them like any other item.
    """
    queue = find(uow, actor, name)
    if state == "gold":
        must_lead(uow, queue, actor)
    found = reports.list_items(
        uow.conn, actor.scope, queue, kind=state, now=clock.now(), after=after, limit=limit
    )
    works: dict[str, list[Work]] = {item.id: [] for item in found}
    for one in reports.works_of(uow.conn, actor.scope, list(works)):
        works[one.item_id].append(one)
    return [_visible(queue, item, works[item.id], actor) for item in found]


def _visible(queue: Queue, item: Item, works: list[Work], actor: Actor) -> tuple[Item, list[Work]]:
    if leads(queue, actor):
        return item, works
    if item.state is not ItemState.DONE:
        works = [seen(queue, item, one) for one in works if one.annotator == actor.id]
        # What a model would answer could be hidden from whoever has not answered yet.
        item = msgspec.structs.replace(item, suggestion=None)
    works = [msgspec.structs.replace(one, gold_right=None) for one in works]
    return msgspec.structs.replace(item, gold=None), works


def show(uow: UnitOfWork, actor: Actor, *, item_id: str) -> tuple[Item, list[Work], dict[str, Any] | None]:
    """Return an item, the work on it that the actor may see (as in `list_items`), and its content, None when gone."""
    queue, item = find_item(uow, actor, item_id)
    content = contents.of_item(uow, actor, item)
    if content is not None and not leads(queue, actor) and item.state is not ItemState.DONE:
        content = faced_content(queue, item, actor.id, content)
    works = reports.works_of(uow.conn, actor.scope, [item.id])
    return (*_visible(queue, item, works, actor), content)


def adjudicate(uow: UnitOfWork, actor: Actor, *, item_id: str, values: Values, comment: str = "") -> Item:
    """Decide an item for good: the values count whatever the annotators said. Raises NotFound, Denied, Invalid."""
    queue, item = find_item(uow, actor, item_id, lock=True)
    must_lead(uow, queue, actor)
    if item.gold is not None:
        raise Invalid("A gold question is decided already.")
    final = labels.check_values(queue.spec.labels, values)
    item = msgspec.structs.replace(item, final=final, adjudicated_by=actor.name, state=ItemState.DONE)
    items.save_item(uow.conn, actor.scope, item)
    decide(uow, actor, queue, item, final, comment)
    uow.audit(actor, "feedback.adjudicate", item_id, queue=queue.spec.name)
    return item


def suggest(uow: UnitOfWork, actor: Actor, *, item_id: str, suggestion: Suggestion | None) -> Item:
    """Store what a model would answer, in place of an earlier suggestion; None takes it away."""
    queue, item = find_item(uow, actor, item_id, lock=True)
    uow.may(actor, "feedback.write", item_id)
    checked = None if suggestion is None else checked_suggestion(queue, suggestion)
    item = msgspec.structs.replace(item, suggestion=checked, uncertainty=1 - certainty(checked))
    if item.state is ItemState.OPEN:
        given = [one.answer for one in reports.works_of(uow.conn, actor.scope, [item.id]) if one.answer]
        compared = given if checked is None else [*given, checked.values]
        apart = labels.disagreement(queue.spec.labels, compared)
        item = msgspec.structs.replace(item, disagreement=apart)
    items.save_item(uow.conn, actor.scope, item)
    return item


def set_gold(uow: UnitOfWork, actor: Actor, *, item_id: str, values: Values | None) -> Item:
    """Make an item that nobody has answered a gold question, or with None an ordinary one. Raises Conflict."""
    queue, item = find_item(uow, actor, item_id, lock=True)
    must_lead(uow, queue, actor)
    if any(one.answer for one in reports.works_of(uow.conn, actor.scope, [item.id])):
        raise Conflict("This item is answered already.", hint="Choose one that nobody has answered.")
    gold = None if values is None else labels.check_gold_values(queue.spec, values)
    item = msgspec.structs.replace(item, gold=gold)
    items.save_item(uow.conn, actor.scope, item)
    return item


def of_traces(uow: UnitOfWork, actor: Actor, trace_ids: Sequence[str]) -> list[Item]:
    """Return the items of every queue that are about the traces."""
    uow.may(actor, "feedback.read")
    return reports.of_traces(uow.conn, actor.scope, trace_ids)


def works_on(uow: UnitOfWork, actor: Actor, some: Sequence[Item]) -> list[Work]:
    """Return everybody's work on the items."""
    uow.may(actor, "feedback.admin")
    return reports.works_of(uow.conn, actor.scope, [item.id for item in some])


def forget(uow: UnitOfWork, actor: Actor, some: Sequence[Item]) -> int:
    """Delete items with the work on them; returns how many items there were."""
    uow.may(actor, "feedback.admin")
    return sum(items.remove_item(uow.conn, actor.scope, item.id) for item in some)


__all__ = [
    "Added",
    "Overview",
    "add",
    "adjudicate",
    "answer",
    "change",
    "create",
    "delete",
    "draft",
    "export",
    "find",
    "find_item",
    "forget",
    "leads",
    "list_items",
    "list_queues",
    "of_traces",
    "overview",
    "set_gold",
    "show",
    "skip",
    "suggest",
    "take",
    "undo",
    "works_on",
]
