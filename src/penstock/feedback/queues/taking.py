"""An annotator's way through a queue: take the next item, save a draft, answer, skip, undo.

Every step locks the queue for its short transaction, so that no item is handed to more people than it needs.
"""

from datetime import datetime, timedelta

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Conflict, Invalid
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.feedback.queues import contents, labels, sketch
from penstock.feedback.queues.access import find, find_item, must_annotate
from penstock.feedback.queues.facing import faced, faced_content, seen
from penstock.feedback.queues.judging import judge, unjudge
from penstock.feedback.queues.model import (
    Item,
    ItemState,
    Order,
    Queue,
    Suggestion,
    Taken,
    Values,
    Work,
    WorkState,
)
from penstock.feedback.queues.store import items, reports, works

_CANDIDATES = 300
_SEEN = 200
_MOST_GONE = 100
"""Items whose traces are gone that one request clears away."""
_MOST_DRAFT = 1_000_000
_MOST_COMMENT = 20_000


def take(uow: UnitOfWork, actor: Actor, *, name: str, suggestions: bool = True) -> Taken | None:
    """Return the item the actor holds, or reserve the next one; None when nothing is left for the actor.

    `suggestions=False` hides what a model would answer. Raises NotFound, and Denied for who is not an annotator.
    """
    queue = find(uow, actor, name, lock=True)
    must_annotate(uow, queue, actor)
    now = clock.now()
    held = works.held_by(uow.conn, actor.scope, queue, actor.id, now)
    if held is not None:
        item = items.item_by_id(uow.conn, actor.scope, held.item_id)
        taken = None if item is None else _taken(uow, actor, queue, item, held, suggestions)
        if taken is not None:
            return taken
    for _ in range(_MOST_GONE):
        item = _gold_due(uow, actor, queue) or _next(uow, actor, queue, now)
        if item is None:
            return None
        taken = _taken(uow, actor, queue, item, _reserved(uow, actor, queue, item, now), suggestions)
        if taken is not None:
            works.save_work(uow.conn, actor.scope, taken.work)
            return taken
        items.save_item(uow.conn, actor.scope, msgspec.structs.replace(item, state=ItemState.GONE))
    return None


def _taken(
    uow: UnitOfWork, actor: Actor, queue: Queue, item: Item, work: Work, suggestions: bool
) -> Taken | None:
    content = contents.of_item(uow, actor, item)
    if content is None:
        return None
    shown = item.suggestion if suggestions and queue.spec.suggestions else None
    if shown is not None:
        shown = msgspec.structs.replace(shown, values=faced(queue, item, actor.id, shown.values))
        if not work.saw_suggestion:
            work = msgspec.structs.replace(work, saw_suggestion=True)
            works.save_work(uow.conn, actor.scope, work)
    content = faced_content(queue, item, actor.id, content)
    return Taken(item=item, content=content, work=work, suggestion=shown)


def _gold_due(uow: UnitOfWork, actor: Actor, queue: Queue) -> Item | None:
    asked, answered = works.gold_and_other(uow.conn, actor.scope, queue, actor.id)
    if asked > answered // queue.spec.gold_every:
        return None
    return items.next_gold(uow.conn, actor.scope, queue, actor.id)


def _next(uow: UnitOfWork, actor: Actor, queue: Queue, now: datetime) -> Item | None:
    order, scope = queue.spec.order, actor.scope
    choosing = order in (Order.DIVERSITY, Order.DRIFT)
    limit = _CANDIDATES if choosing else 1
    found = items.candidates(uow.conn, scope, queue, (actor.id, actor.name), now=now, limit=limit)
    if not found or not choosing:
        return found[0] if found else None
    sketched = [item for item in found if item.sketch]
    if not sketched:
        return found[0]
    among = [item.sketch for item in sketched]
    if order is Order.DRIFT:
        return sketched[sketch.strangest(among, items.first_sketches(uow.conn, scope, queue, limit=_SEEN))]
    return sketched[sketch.farthest(among, items.sketches(uow.conn, scope, queue, limit=_SEEN))]


def _until(queue: Queue, now: datetime) -> datetime:
    return now + timedelta(minutes=queue.spec.reserve_minutes)


def _reserved(uow: UnitOfWork, actor: Actor, queue: Queue, item: Item, now: datetime) -> Work:
    before = works.work_on(uow.conn, actor.scope, item.id, actor.id)
    if before is not None:
        return msgspec.structs.replace(before, reserved_until=_until(queue, now), updated_at=now)
    return Work(
        id=ids.new_id("jdg"),
        queue_id=queue.id,
        item_id=item.id,
        annotator=actor.id,
        annotator_name=actor.name,
        state=WorkState.RESERVED,
        reserved_until=_until(queue, now),
        updated_at=now,
    )


def _held(uow: UnitOfWork, actor: Actor, queue: Queue, item: Item, now: datetime) -> Work:
    """Return the actor's unfinished work on the item; raises Conflict when it is finished or somebody else's turn."""
    before = works.work_on(uow.conn, actor.scope, item.id, actor.id)
    if before is not None and before.state is not WorkState.RESERVED:
        raise Conflict(f"You have {before.state} this item.", hint="Undo that first.")
    if item.gold is None and not items.has_room(
        uow.conn, actor.scope, queue, item, (actor.id, actor.name), now
    ):
        raise Conflict(
            "This item is answered, or others are at it now.", hint="Take the next one; the draft is kept."
        )
    return _reserved(uow, actor, queue, item, now)


def draft(uow: UnitOfWork, actor: Actor, *, item_id: str, values: Values, comment: str = "") -> Work:
    """Keep an unfinished answer, unchecked, and the reservation alive. Raises Conflict for a finished item."""
    queue, item = find_item(uow, actor, item_id, lock=True)
    must_annotate(uow, queue, actor)
    if len(msgspec.json.encode([values, comment])) > _MOST_DRAFT:
        raise Invalid(f"A draft has at most {_MOST_DRAFT} bytes.")
    mine = _held(uow, actor, queue, item, clock.now())
    mine = msgspec.structs.replace(mine, draft=values, comment=comment)
    works.save_work(uow.conn, actor.scope, mine)
    return mine


def answer(uow: UnitOfWork, actor: Actor, *, item_id: str, values: Values, comment: str = "") -> Work:
    """Store the actor's answer to an item and return it; the same answer sent again changes nothing.

    Labels of traces also become feedback on them. Raises Invalid for values that do not fit the labels, Conflict when
    the actor has another answer, or when the reservation ran out and others took the item.
    """
    queue, item = find_item(uow, actor, item_id, lock=True)
    must_annotate(uow, queue, actor)
    if len(comment) > _MOST_COMMENT:
        raise Invalid(f"A comment has at most {_MOST_COMMENT} characters.")
    given = labels.check_values(queue.spec.labels, faced(queue, item, actor.id, values))
    before = works.work_on(uow.conn, actor.scope, item.id, actor.id)
    if before is not None and before.state is WorkState.ANSWERED and before.answer == given:
        return seen(queue, item, before)
    mine = _held(uow, actor, queue, item, clock.now())
    mine = msgspec.structs.replace(
        mine, state=WorkState.ANSWERED, reserved_until=None, draft=None, answer=given, comment=comment
    )
    if item.gold is not None:
        mine = msgspec.structs.replace(mine, gold_right=labels.gold_right(item.gold, given))
    works.save_work(uow.conn, actor.scope, mine)
    if item.gold is None:
        _recount(uow, actor, queue, item)
        judge(uow, actor, queue, item, mine)
    return seen(queue, item, mine)


def skip(uow: UnitOfWork, actor: Actor, *, item_id: str, comment: str = "") -> Work:
    """Pass an item on to others; the actor does not get it again. Raises Conflict for an answered one."""
    queue, item = find_item(uow, actor, item_id, lock=True)
    must_annotate(uow, queue, actor)
    if len(comment) > _MOST_COMMENT:
        raise Invalid(f"A comment has at most {_MOST_COMMENT} characters.")
    now = clock.now()
    before = works.work_on(uow.conn, actor.scope, item.id, actor.id)
    if before is not None and before.state is WorkState.ANSWERED:
        raise Conflict("You have answered this item.", hint="Undo that first.")
    mine = msgspec.structs.replace(
        _reserved(uow, actor, queue, item, now),
        state=WorkState.SKIPPED,
        reserved_until=None,
        comment=comment,
    )
    works.save_work(uow.conn, actor.scope, mine)
    return mine


def undo(uow: UnitOfWork, actor: Actor, *, item_id: str) -> Taken:
    """Take the actor's answer or skip back and return the item, reserved, with the answer as draft.

    Raises Conflict when there is nothing to undo, somebody else took the item, or it was adjudicated.
    """
    queue, item = find_item(uow, actor, item_id, lock=True)
    must_annotate(uow, queue, actor)
    mine = works.work_on(uow.conn, actor.scope, item.id, actor.id)
    if mine is None or mine.state is WorkState.RESERVED:
        raise Conflict("There is nothing of yours to undo on this item.")
    if item.adjudicated_by:
        raise Conflict(f"{item.adjudicated_by} has decided this item.", hint="Ask for another decision.")
    now = clock.now()
    if (
        mine.state is WorkState.SKIPPED
        and item.gold is None
        and not items.has_room(uow.conn, actor.scope, queue, item, (actor.id, actor.name), now)
    ):
        raise Conflict("Others have taken this item since you skipped it.")
    answered = None if mine.answer is None else faced(queue, item, actor.id, mine.answer)
    taken_back = msgspec.structs.replace(
        mine,
        state=WorkState.RESERVED,
        reserved_until=_until(queue, now),
        draft=answered if answered is not None else mine.draft,
        answer=None,
        gold_right=None,
        updated_at=now,
    )
    works.save_work(uow.conn, actor.scope, taken_back)
    if mine.state is WorkState.ANSWERED and item.gold is None:
        unjudge(uow, actor, queue, mine)
        item = _recount(uow, actor, queue, item)
    taken = _taken(uow, actor, queue, item, taken_back, mine.saw_suggestion)
    if taken is None:
        raise Conflict("What this item was about is no longer stored.")
    return taken


def _recount(uow: UnitOfWork, actor: Actor, queue: Queue, item: Item) -> Item:
    """Store and return the item with its answers counted anew."""
    done = [
        one.answer or {}
        for one in reports.works_of(uow.conn, actor.scope, [item.id])
        if one.state is WorkState.ANSWERED
    ]
    is_done = len(done) >= queue.spec.overlap or item.adjudicated_by != ""
    compared = done if is_done else [*done, *_suggested(item.suggestion)]
    item = msgspec.structs.replace(
        item,
        answers=len(done),
        state=ItemState.DONE if is_done else ItemState.OPEN,
        disagreement=labels.disagreement(queue.spec.labels, compared),
    )
    items.save_item(uow.conn, actor.scope, item)
    return item


def _suggested(suggestion: Suggestion | None) -> list[Values]:
    return [] if suggestion is None else [suggestion.values]
