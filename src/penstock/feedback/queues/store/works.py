"""SQL of what annotators do with items."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.feedback.queues.model import ItemState, Queue, Work, WorkState
from penstock.feedback.queues.store.tables import WORK, as_work, inside, items, plain, work


def save_work(conn: Connection, scope: Scope, one: Work) -> None:
    """Store what an annotator did with an item, in the place of what was stored of it."""
    row = plain(one) | {"tenant": scope.tenant, "project": scope.project}
    changed = [name for name in WORK if name not in ("id", "queue_id", "item_id", "annotator")]
    upsert(conn, work, [row], keys=["tenant", "project", "item_id", "annotator"], update=changed)


def work_on(conn: Connection, scope: Scope, item_id: str, annotator: str) -> Work | None:
    """Return what the annotator did with the item, or None."""
    row = conn.execute(
        select(work).where(inside(work, scope), work.c.item_id == item_id, work.c.annotator == annotator)
    ).first()
    return as_work(row) if row else None


def held_by(conn: Connection, scope: Scope, queue: Queue, annotator: str, now: datetime) -> Work | None:
    """Return the reservation of an open item that the annotator holds, the last one if several, or None."""
    joined = work.join(items, (items.c.id == work.c.item_id) & (items.c.tenant == work.c.tenant))
    query = select(work).select_from(joined)
    query = query.where(
        inside(work, scope),
        inside(items, scope),
        items.c.state == str(ItemState.OPEN),
        work.c.queue_id == queue.id,
        work.c.annotator == annotator,
        work.c.state == str(WorkState.RESERVED),
        work.c.reserved_until > now,
    )
    row = conn.execute(query.order_by(work.c.updated_at.desc()).limit(1)).first()
    return as_work(row) if row else None


def gold_and_other(conn: Connection, scope: Scope, queue: Queue, annotator: str) -> tuple[int, int]:
    """Return how many gold questions and how many other items the annotator has answered or skipped."""
    joined = work.join(items, (items.c.id == work.c.item_id) & (items.c.tenant == work.c.tenant))
    query = (
        select(items.c.is_gold, func.count())
        .select_from(joined)
        .where(inside(work, scope), inside(items, scope), work.c.queue_id == queue.id)
        .where(work.c.annotator == annotator, work.c.state != str(WorkState.RESERVED))
        .group_by(items.c.is_gold)
    )
    found = {bool(is_gold): count for is_gold, count in conn.execute(query)}
    return found.get(True, 0), found.get(False, 0)
