"""SQL of what is told about queues: progress, answers, annotators."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, func, select

from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.feedback.queues.model import Item, ItemState, Progress, Queue, Values, Work, WorkState
from penstock.feedback.queues.store.tables import CHUNK, as_item, as_work, inside, items, work

OPEN, DONE, GONE = (str(state) for state in ItemState)
LISTS = ("open", "reserved", "done", "skipped", "disputed", "adjudicated", "gone", "gold")
"""What lists of items can be asked for."""


def _works(scope: Scope, state: WorkState, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        inside(work, scope), work.c.item_id == items.c.id, work.c.state == str(state), *more
    )


def _kind(scope: Scope, kind: str, now: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions of one of LISTS."""
    if kind == "gold":
        return [items.c.is_gold]
    is_open = items.c.state == OPEN
    found: dict[str, list[ColumnElement[bool]]] = {
        "open": [is_open],
        "reserved": [is_open, _works(scope, WorkState.RESERVED, work.c.reserved_until > now)],
        "done": [items.c.state == DONE],
        "skipped": [is_open, _works(scope, WorkState.SKIPPED)],
        "disputed": [items.c.state == DONE, items.c.disagreement > 0, items.c.adjudicated_by == ""],
        "adjudicated": [items.c.adjudicated_by != ""],
        "gone": [items.c.state == GONE],
    }
    if kind not in found:
        raise Invalid(f"{kind!r} is not a state of items.", hint=f"Use one of {', '.join(LISTS)}.")
    return [items.c.is_gold.is_(False), *found[kind]]


def progress(conn: Connection, scope: Scope, queue: Queue, now: datetime) -> Progress:
    """Return how far the queue is."""
    mine = [inside(items, scope), items.c.queue_id == queue.id]

    def number(kind: str) -> int:
        query = select(func.count()).select_from(items).where(*mine, *_kind(scope, kind, now))
        return conn.execute(query).scalar() or 0

    done, waiting, gone = number("done"), number("open"), number("gone")
    return Progress(
        items=done + waiting + gone,
        done=done,
        open=waiting,
        reserved=number("reserved"),
        skipped=number("skipped"),
        disputed=number("disputed"),
        gone=gone,
    )


def open_items(conn: Connection, scope: Scope, queue: Queue) -> int:
    """Return how many items wait for answers."""
    mine = (inside(items, scope), items.c.queue_id == queue.id, items.c.is_gold.is_(False))
    query = select(func.count()).select_from(items).where(*mine, items.c.state == OPEN)
    return conn.execute(query).scalar() or 0


def list_items(
    conn: Connection, scope: Scope, queue: Queue, *, kind: str | None, now: datetime, after: str, limit: int
) -> list[Item]:
    """Return items in the order they were added, after the id `after`; raises Invalid for an unknown kind."""
    query = select(items).where(inside(items, scope), items.c.queue_id == queue.id, items.c.id > after)
    if kind is not None:
        query = query.where(*_kind(scope, kind, now))
    return [as_item(row) for row in conn.execute(query.order_by(items.c.id).limit(limit))]


def done_items(conn: Connection, scope: Scope, queue: Queue, *, after: str, limit: int) -> list[Item]:
    """Return done items without gold questions, in the order they were added, after the id `after`."""
    query = select(items).where(inside(items, scope), items.c.queue_id == queue.id, items.c.id > after)
    query = query.where(items.c.state == DONE, items.c.is_gold.is_(False))
    return [as_item(row) for row in conn.execute(query.order_by(items.c.id).limit(limit))]


def open_after(conn: Connection, scope: Scope, queue: Queue, *, after: str, limit: int) -> list[Item]:
    """Return open items without gold questions, in the order they were added, after the id `after`."""
    query = select(items).where(inside(items, scope), items.c.queue_id == queue.id, items.c.id > after)
    query = query.where(items.c.state == OPEN, items.c.is_gold.is_(False))
    return [as_item(row) for row in conn.execute(query.order_by(items.c.id).limit(limit))]


def works_of(conn: Connection, scope: Scope, item_ids: Sequence[str]) -> list[Work]:
    """Return everybody's work on the items, in the order it began."""
    found: list[Work] = []
    for start in range(0, len(item_ids), CHUNK):
        wanted = work.c.item_id.in_(item_ids[start : start + CHUNK])
        query = select(work).where(inside(work, scope), wanted)
        found += [as_work(row) for row in conn.execute(query.order_by(work.c.id))]
    return found


def answers(conn: Connection, scope: Scope, queue: Queue) -> Iterator[tuple[str, str, Values]]:
    """Yield (item, annotator, values) of every answer that is not to a gold question."""
    joined = work.join(items, (items.c.id == work.c.item_id) & (items.c.tenant == work.c.tenant))
    query = (
        select(work.c.item_id, work.c.annotator, work.c.answer)
        .select_from(joined)
        .where(inside(work, scope), inside(items, scope), work.c.queue_id == queue.id)
        .where(work.c.state == str(WorkState.ANSWERED), items.c.is_gold.is_(False))
    )
    for row in conn.execute(query.order_by(work.c.item_id, work.c.id)):
        yield row.item_id, row.annotator, row.answer or {}


def annotators(conn: Connection, scope: Scope, queue: Queue) -> list[tuple[str, str, int, int, float]]:
    """Return (name, state, items, gold questions among them, gold right) per annotator and state of work."""
    query = (
        select(
            func.max(work.c.annotator_name),
            work.c.state,
            func.count(),
            func.count(work.c.gold_right),
            func.coalesce(func.sum(work.c.gold_right), 0.0),
        )
        .where(inside(work, scope), work.c.queue_id == queue.id)
        .group_by(work.c.annotator, work.c.state)
    )
    return [(name, state, n, gold, float(right)) for name, state, n, gold, right in conn.execute(query)]


def of_traces(conn: Connection, scope: Scope, trace_ids: Sequence[str]) -> list[Item]:
    """Return the items about the traces, of every queue."""
    found: dict[str, Item] = {}
    for start in range(0, len(trace_ids), CHUNK):
        wanted = trace_ids[start : start + CHUNK]
        for column in (items.c.trace_id, items.c.other_trace_id):
            query = select(items).where(inside(items, scope), column.in_(wanted))
            found |= {row.id: as_item(row) for row in conn.execute(query)}
    return sorted(found.values(), key=lambda item: item.id)
