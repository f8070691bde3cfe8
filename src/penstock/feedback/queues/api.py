"""HTTP of annotation queues, under /api/v1/queues."""

from typing import Annotated

from fastapi import APIRouter, Query

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.feedback.queues import service, shapes, shaping, suggesting
from penstock.feedback.queues.model import Suggestion
from penstock.feedback.queues.shapes import (
    AddedModel,
    AnswerBody,
    CreatedModel,
    DraftBody,
    ExportBody,
    ExportedModel,
    GoldBody,
    ItemGoldModel,
    ItemModel,
    JobModel,
    MoreItems,
    NewQueue,
    NextBody,
    NextModel,
    OverviewModel,
    QueueChanges,
    QueueModel,
    SkipBody,
    SuggestBody,
    SuggestionBody,
    WorkModel,
)

router = APIRouter(prefix="/queues")


@router.get("")
def list_queues(
    uow: ReadUow,
    actor: CurrentActor,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[QueueModel]:
    """List queues by name, with their progress."""
    found = service.list_queues(uow, actor, after=cursor or "", limit=limit + 1)
    following = found[limit - 1][0].spec.name if len(found) > limit else None
    items = [shaping.queue_model(queue, progress, actor) for queue, progress in found[:limit]]
    return Page(items=items, next=following)


@router.post("", status_code=201)
def create_queue(home: HomeDep, actor: CurrentActor, new: NewQueue) -> CreatedModel:
    """Make a queue and fill it from its source."""
    queue, added = service.create(home, actor, spec=new.spec())
    with home.read() as uow:
        found = service.overview(uow, actor, name=queue.spec.name)
    made = shaping.queue_model(found.queue, found.progress, actor)
    return CreatedModel(**made.model_dump(), added=shaping.added_model(added))


@router.get("/{name}")
def get_queue(uow: ReadUow, actor: CurrentActor, name: str) -> OverviewModel:
    """Return a queue with its progress, its annotators' agreement, and what each did."""
    return shaping.overview_model(service.overview(uow, actor, name=name), actor)


@router.patch("/{name}")
def change_queue(uow: WriteUow, actor: CurrentActor, name: str, changes: QueueChanges) -> OverviewModel:
    """Change a queue; its labels only while nothing is answered."""
    service.change(uow, actor, name=name, changes=changes.given())
    return shaping.overview_model(service.overview(uow, actor, name=name), actor)


@router.delete("/{name}", status_code=204)
def delete_queue(uow: WriteUow, actor: CurrentActor, name: str) -> None:
    """Delete a queue with all answers in it."""
    service.delete(uow, actor, name=name)


@router.post("/{name}/items", status_code=201)
def add_items(home: HomeDep, actor: CurrentActor, name: str, more: MoreItems) -> AddedModel:
    """Add items from a query, ids or a dataset; what the queue has already stays."""
    added = service.add(home, actor, name=name, source=more.source(), assigned=more.assign_to)
    return shaping.added_model(added)


@router.get("/{name}/items")
def list_items(
    uow: ReadUow,
    actor: CurrentActor,
    name: str,
    state: Annotated[str | None, Query(description=shapes.STATES)] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[ItemModel]:
    """List items with the answers that the caller may see, in the order they were added."""
    found = service.list_items(uow, actor, name=name, state=state, after=cursor or "", limit=limit + 1)
    following = found[limit - 1][0].id if len(found) > limit else None
    items = [shaping.item_model(item, works) for item, works in found[:limit]]
    return Page(items=items, next=following)


@router.post("/{name}/next")
def next_item(uow: WriteUow, actor: CurrentActor, name: str, asked: NextBody | None = None) -> NextModel:
    """Reserve the next item for the caller, or return the one the caller has; `item` is null when nothing is left."""
    wanted = asked or NextBody()
    taken = service.take(uow, actor, name=name, suggestions=wanted.suggestions)
    return shaping.next_model(service.find(uow, actor, name), taken)


@router.post("/{name}/suggest", status_code=202)
def suggest_all(uow: WriteUow, actor: CurrentActor, name: str, wanted: SuggestBody) -> JobModel:
    """Have a model of the gateway suggest answers to the open items, in the background; see `GET /jobs/{id}`."""
    job = suggesting.start(uow, actor, name=name, **wanted.model_dump())
    return JobModel(job_id=job.id)


@router.post("/{name}/export", status_code=201)
def export_queue(home: HomeDep, actor: CurrentActor, name: str, wanted: ExportBody) -> ExportedModel:
    """Make a dataset version of the queue's done items, linked to every judgement behind it."""
    return shaping.exported_model(service.export(home, actor, name=name, **wanted.model_dump()))


@router.get("/items/{item_id}")
def get_item(uow: ReadUow, actor: CurrentActor, item_id: str) -> ItemModel:
    """Return one item with its content and the answers that the caller may see."""
    item, works, content = service.show(uow, actor, item_id=item_id)
    return shaping.item_model(item, works, content)


@router.put("/items/{item_id}/draft")
def save_draft(uow: WriteUow, actor: CurrentActor, item_id: str, new: DraftBody) -> WorkModel:
    """Keep an unfinished answer and the reservation alive."""
    work = service.draft(uow, actor, item_id=item_id, values=new.values, comment=new.comment)
    return shaping.work_model(work)


@router.post("/items/{item_id}/answer")
def answer_item(uow: WriteUow, actor: CurrentActor, item_id: str, new: AnswerBody) -> WorkModel:
    """Answer an item; the same answer sent again changes nothing."""
    work = service.answer(uow, actor, item_id=item_id, values=new.values, comment=new.comment)
    return shaping.work_model(work)


@router.post("/items/{item_id}/skip")
def skip_item(uow: WriteUow, actor: CurrentActor, item_id: str, why: SkipBody | None = None) -> WorkModel:
    """Leave an item to others."""
    work = service.skip(uow, actor, item_id=item_id, comment=why.comment if why else "")
    return shaping.work_model(work)


@router.post("/items/{item_id}/undo")
def undo_item(uow: WriteUow, actor: CurrentActor, item_id: str) -> NextModel:
    """Take the caller's answer or skip back; returns the item with the answer as draft."""
    taken = service.undo(uow, actor, item_id=item_id)
    queue, _ = service.find_item(uow, actor, item_id)
    return shaping.next_model(queue, taken)


@router.post("/items/{item_id}/adjudicate")
def adjudicate_item(uow: WriteUow, actor: CurrentActor, item_id: str, new: AnswerBody) -> ItemModel:
    """Decide an item for good."""
    service.adjudicate(uow, actor, item_id=item_id, values=new.values, comment=new.comment)
    item, works, content = service.show(uow, actor, item_id=item_id)
    return shaping.item_model(item, works, content)


@router.put("/items/{item_id}/suggestion")
def suggest(uow: WriteUow, actor: CurrentActor, item_id: str, new: SuggestionBody) -> ItemModel:
    """Store what a model would answer."""
    found = Suggestion(values=new.values, confidence=new.confidence, model=new.model)
    service.suggest(uow, actor, item_id=item_id, suggestion=found)
    item, works, content = service.show(uow, actor, item_id=item_id)
    return shaping.item_model(item, works, content)


@router.delete("/items/{item_id}/suggestion", status_code=204)
def drop_suggestion(uow: WriteUow, actor: CurrentActor, item_id: str) -> None:
    """Take a suggestion away."""
    service.suggest(uow, actor, item_id=item_id, suggestion=None)


@router.put("/items/{item_id}/gold")
def set_gold(uow: WriteUow, actor: CurrentActor, item_id: str, new: GoldBody) -> ItemGoldModel:
    """Make an item nobody has answered a gold question, or with null an ordinary one."""
    item = service.set_gold(uow, actor, item_id=item_id, values=new.values)
    return ItemGoldModel(id=item.id, gold=item.gold)
