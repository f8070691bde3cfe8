"""SQL of the items of queues."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, update

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.feedback.queues.model import Item, ItemState, Order, Queue, WorkState
from penstock.feedback.queues.store.tables import (
    CHUNK,
    as_item,
    inside,
    items,
    plain,
    work,
)

ORDERS: Mapping[Order, tuple[ColumnElement[Any], ...]] = {
    Order.FIFO: (items.c.id.asc(),),
    Order.UNCERTAINTY: (items.c.uncertainty.desc(), items.c.id.asc()),
    Order.DISAGREEMENT: (items.c.disagreement.desc(), items.c.answers.desc(), items.c.id.asc()),
    Order.DIVERSITY: (items.c.id.asc(),),
    Order.DRIFT: (items.c.id.desc(),),
}


def add_items(conn: Connection, scope: Scope, added: Sequence[Item]) -> int:
    """Store items; those whose key the queue has already stay as they are. Returns how many are new."""
    rows = [plain(item) | {"tenant": scope.tenant, "project": scope.project} for item in added]
    return upsert(conn, items, rows, keys=["tenant", "project", "queue_id", "key"])


def known_keys(conn: Connection, scope: Scope, queue_id: str, keys: Sequence[str]) -> set[str]:
    """Return which of the keys the queue has."""
    mine = (inside(items, scope), items.c.queue_id == queue_id)
    found: set[str] = set()
    for start in range(0, len(keys), CHUNK):
        wanted = items.c.key.in_(keys[start : start + CHUNK])
        found |= set(conn.execute(select(items.c.key).where(*mine, wanted)).scalars())
    return found


def item_by_id(conn: Connection, scope: Scope, item_id: str) -> Item | None:
    """Return an item, or None."""
    row = conn.execute(select(items).where(inside(items, scope), items.c.id == item_id)).first()
    return as_item(row) if row else None


def save_item(conn: Connection, scope: Scope, item: Item) -> None:
    """Store what changed of an item."""
    values = {name: value for name, value in plain(item).items() if name not in ("id", "queue_id", "key")}
    conn.execute(update(items).where(inside(items, scope), items.c.id == item.id).values(values))


def _room(scope: Scope, queue: Queue, annotator: tuple[str, str], now: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions for open items that need one more answer, of an annotator (id, name) who gave none."""
    person, name = annotator
    held = (
        select(func.count())
        .select_from(work)
        .where(
            inside(work, scope),
            work.c.item_id == items.c.id,
            work.c.annotator != person,
            work.c.state == str(WorkState.RESERVED),
            work.c.reserved_until > now,
        )
        .scalar_subquery()
    )
    return [
        inside(items, scope),
        items.c.queue_id == queue.id,
        items.c.state == str(ItemState.OPEN),
        items.c.assigned.in_(["", name]),
        items.c.is_gold.is_(False),
        items.c.answers + held < queue.spec.overlap,
    ]


def _finished(scope: Scope, annotator: str) -> ColumnElement[bool]:
    """Return the condition that the annotator answered or skipped the item."""
    return exists().where(
        inside(work, scope),
        work.c.item_id == items.c.id,
        work.c.annotator == annotator,
        work.c.state != str(WorkState.RESERVED),
    )


def candidates(
    conn: Connection, scope: Scope, queue: Queue, annotator: tuple[str, str], *, now: datetime, limit: int
) -> list[Item]:
    """Return items that the annotator (id, name) may take now, in the queue's order."""
    query = select(items).where(*_room(scope, queue, annotator, now), ~_finished(scope, annotator[0]))
    return [as_item(row) for row in conn.execute(query.order_by(*ORDERS[queue.spec.order]).limit(limit))]


def has_room(
    conn: Connection, scope: Scope, queue: Queue, item: Item, annotator: tuple[str, str], now: datetime
) -> bool:
    """Whether the annotator (id, name), who has not answered the item, may do so now."""
    query = select(items.c.id).where(*_room(scope, queue, annotator, now), items.c.id == item.id)
    return conn.execute(query).first() is not None


def next_gold(conn: Connection, scope: Scope, queue: Queue, annotator: str) -> Item | None:
    """Return the first gold question that the annotator has not answered, or None."""
    query = select(items).where(inside(items, scope), items.c.queue_id == queue.id, items.c.is_gold)
    query = query.where(items.c.state == str(ItemState.OPEN), ~_finished(scope, annotator))
    row = conn.execute(query.order_by(items.c.id).limit(1)).first()
    return as_item(row) if row else None


def sketches(conn: Connection, scope: Scope, queue: Queue, *, limit: int) -> list[str]:
    """Return the sketches of the items handed out last, newest first."""
    joined = items.join(work, (work.c.item_id == items.c.id) & (work.c.tenant == items.c.tenant))
    query = select(items.c.sketch).select_from(joined)
    query = query.where(
        inside(items, scope), inside(work, scope), work.c.queue_id == queue.id, items.c.sketch != ""
    )
    return list(conn.execute(query.order_by(work.c.updated_at.desc()).limit(limit)).scalars())


def first_sketches(conn: Connection, scope: Scope, queue: Queue, *, limit: int) -> list[str]:
    """Return the sketches of the queue's first items."""
    query = select(items.c.sketch).where(
        inside(items, scope), items.c.queue_id == queue.id, items.c.sketch != ""
    )
    return list(conn.execute(query.order_by(items.c.id).limit(limit)).scalars())


def remove_item(conn: Connection, scope: Scope, item_id: str) -> int:
    """Delete an item with the work on it; returns how many items that were."""
    conn.execute(delete(work).where(inside(work, scope), work.c.item_id == item_id))
    return conn.execute(delete(items).where(inside(items, scope), items.c.id == item_id)).rowcount
