"""Nouns of annotation queues as they go over HTTP, and as who asks may see them."""

from typing import Any

import msgspec

from penstock.core.scope import Actor
from penstock.feedback.queues.access import leads
from penstock.feedback.queues.exporting import Exported
from penstock.feedback.queues.filling import Added
from penstock.feedback.queues.model import Item, Progress, Queue, Taken, Work
from penstock.feedback.queues.service import Overview
from penstock.feedback.queues.shapes import (
    AddedModel,
    AgreementModel,
    ExportedModel,
    ItemModel,
    NextModel,
    OverviewModel,
    PersonModel,
    ProgressModel,
    QueueModel,
    SuggestionBody,
    TakenModel,
    WorkModel,
)


def added_model(added: Added) -> AddedModel:
    """Return it for HTTP."""
    return AddedModel.model_validate(msgspec.to_builtins(added))


def queue_model(queue: Queue, progress: Progress, actor: Actor) -> QueueModel:
    """Return a queue for HTTP, as the actor may see it."""
    spec = msgspec.to_builtins(queue.spec)
    leading = leads(queue, actor)
    if not leading:
        spec["gold"] = []
    return QueueModel(
        id=queue.id,
        created_by=queue.created_by,
        created_at=queue.created_at,
        leads=leading,
        progress=ProgressModel.model_validate(msgspec.to_builtins(progress)),
        **spec,
    )


def overview_model(found: Overview, actor: Actor) -> OverviewModel:
    """Return a queue with its figures for HTTP, as the actor may see them."""
    queue = queue_model(found.queue, found.progress, actor)
    people = found.annotators if queue.leads else ()
    return OverviewModel(
        **queue.model_dump(),
        agreement=[AgreementModel.model_validate(msgspec.to_builtins(one)) for one in found.agreement],
        people=[PersonModel.model_validate(msgspec.to_builtins(one)) for one in people],
    )


def work_model(work: Work) -> WorkModel:
    """Return an annotator's work for HTTP."""
    given = msgspec.to_builtins(work)
    given |= {"annotator": work.annotator_name, "values": given.pop("answer")}
    return WorkModel.model_validate(given)


def item_model(item: Item, works: list[Work], content: dict[str, Any] | None = None) -> ItemModel:
    """Return an item for HTTP."""
    given = msgspec.to_builtins(item) | {"assigned_to": item.assigned, "content": content}
    return ItemModel.model_validate(given | {"work": [work_model(one) for one in works]})


def next_model(queue: Queue, taken: Taken | None) -> NextModel:
    """Return an item in an annotator's hands for HTTP."""
    if taken is None:
        return NextModel(item=None, reserved_until=None)
    suggestion = taken.suggestion
    return NextModel(
        item=TakenModel(
            id=taken.item.id,
            kind=queue.spec.kind,
            content=taken.content,
            suggestion=None if suggestion is None else SuggestionBody(**msgspec.to_builtins(suggestion)),
            draft=taken.work.draft,
            comment=taken.work.comment,
        ),
        reserved_until=taken.work.reserved_until,
    )


def exported_model(done: Exported) -> ExportedModel:
    """Return an export for HTTP."""
    version = done.version
    return ExportedModel(
        id=version.id,
        dataset=version.dataset,
        number=version.number,
        hash=version.hash,
        rows=done.rows,
        skipped=done.skipped,
    )
