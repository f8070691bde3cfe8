"""SQL of the queues themselves."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, select, update

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.feedback.queues.model import Queue
from penstock.feedback.queues.store.tables import as_queue, inside, items, queues, work


def put_queue(conn: Connection, scope: Scope, queue: Queue) -> bool:
    """Store a new queue; False when the name is taken."""
    row = {
        "id": queue.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "name": queue.spec.name,
        "spec": msgspec.to_builtins(queue.spec),
        "created_by": queue.created_by,
        "created_at": queue.created_at,
        "follows": queue.spec.source is not None and queue.spec.source.follow,
        "fed_at": queue.fed_at,
        "swept_at": queue.swept_at,
    }
    return upsert(conn, queues, [row], keys=["tenant", "project", "name"]) > 0


def change_queue(conn: Connection, scope: Scope, queue: Queue) -> None:
    """Store a queue's changed spec."""
    values = {
        "spec": msgspec.to_builtins(queue.spec),
        "follows": queue.spec.source is not None and queue.spec.source.follow,
    }
    conn.execute(update(queues).where(inside(queues, scope), queues.c.id == queue.id).values(values))


def queue_named(conn: Connection, scope: Scope, name: str, *, lock: bool = False) -> Queue | None:
    """Return the queue, or None. With `lock` others that ask for the lock wait until the transaction ends."""
    query = select(queues).where(inside(queues, scope), queues.c.name == name)
    row = conn.execute(query.with_for_update() if lock else query).first()
    return as_queue(row) if row else None


def queue_by_id(conn: Connection, scope: Scope, queue_id: str, *, lock: bool = False) -> Queue | None:
    """Return the queue with the id, or None; `lock` as in `queue_named`."""
    query = select(queues).where(inside(queues, scope), queues.c.id == queue_id)
    row = conn.execute(query.with_for_update() if lock else query).first()
    return as_queue(row) if row else None


def names_of(conn: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of those of the queues that are there, by id."""
    query = select(queues.c.id, queues.c.name).where(inside(queues, scope), queues.c.id.in_(ids))
    return {row.id: row.name for row in conn.execute(query)}


def list_queues(conn: Connection, scope: Scope, *, after: str, limit: int) -> list[Queue]:
    """Return queues by name, after the name `after`."""
    query = select(queues).where(inside(queues, scope), queues.c.name > after)
    return [as_queue(row) for row in conn.execute(query.order_by(queues.c.name).limit(limit))]


def following(conn: Connection) -> list[tuple[Scope, Queue]]:
    """Return the queues that take new traces by themselves, of every scope."""
    rows = conn.execute(select(queues).where(queues.c.follows).order_by(queues.c.id))
    return [(Scope(row.tenant, row.project), as_queue(row)) for row in rows]


def delete_queue(conn: Connection, scope: Scope, queue_id: str) -> None:
    """Delete a queue with its items and the work on them."""
    for table in (work, items):
        conn.execute(delete(table).where(inside(table, scope), table.c.queue_id == queue_id))
    conn.execute(delete(queues).where(inside(queues, scope), queues.c.id == queue_id))


def mark_fed(conn: Connection, scope: Scope, queue: Queue) -> None:
    """Store how far a queue was fed, and nothing else of it."""
    values = {"fed_at": queue.fed_at, "swept_at": queue.swept_at}
    conn.execute(update(queues).where(inside(queues, scope), queues.c.id == queue.id).values(values))
