"""Queues that follow a query: new traces become items by themselves.

Every pass looks again at a little more than what is new, and now and then at a longer stretch for traces that arrive
late; an item is added once, whatever is looked at twice, so several processes may feed at once, and a pass that was
cut short is made good by the next.
"""

from collections import Counter
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from penstock.core import clock, log
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor, system_actor
from penstock.feedback.queues.filling import sampled, trace_items
from penstock.feedback.queues.model import Queue, Source
from penstock.feedback.queues.store import items, lists, reports
from penstock.traces import service as traces
from penstock.traces.model import TraceFilters

AGAIN = timedelta(minutes=2)
"""So far before the last pass each pass begins: traces are stored a while after they start."""
SWEEP_EVERY, SWEEP = timedelta(minutes=10), timedelta(hours=1)
"""How often, and how far back, traces are looked for that arrived late."""
MARK_EVERY = timedelta(seconds=30)
_PAGE = 200
logger = log.get("feedback.queues")


def feed_all(home: Home) -> int:
    """Make a pass over every queue that follows a query; returns how many items were added."""
    with home.read() as uow:
        found = lists.following(uow.conn)
    added = 0
    for scope, queue in found:
        try:
            added += feed(home, system_actor(scope), queue)
        except PenstockError as error:
            # One queue's query must not stop the others; its owner sees that nothing comes.
            logger.warning("queue not fed", extra={"queue": queue.spec.name, "error": str(error)})
    return added


def feed(home: Home, actor: Actor, queue: Queue) -> int:
    """Add new traces that the queue's query finds and its share takes; returns how many.

    While as many items are open as the source's limit, what comes is passed over: a queue that nobody works on must
    not grow, and what people get to see is to be recent.
    """
    source, now = queue.spec.source, clock.now()
    if source is None or not source.follow:
        return 0
    with home.read() as uow:
        room = source.limit - reports.open_items(uow.conn, actor.scope, queue)
    sweeps = queue.swept_at is None or now - queue.swept_at >= SWEEP_EVERY
    before = queue.fed_at or queue.created_at
    added = 0
    if room > 0:
        since = max(queue.created_at - AGAIN, before - (SWEEP if sweeps else AGAIN))
        added = _add(home, actor, queue, _fresh(home, actor, queue, source, since), room)
    if sweeps or now - before >= MARK_EVERY:
        queue = msgspec.structs.replace(queue, fed_at=now, swept_at=now if sweeps else queue.swept_at)
        with home.begin() as uow:
            lists.mark_fed(uow.conn, actor.scope, queue)
    return added


def _fresh(home: Home, actor: Actor, queue: Queue, source: Source, since: datetime) -> list[str]:
    """Return the sampled traces since then that the queue does not have, oldest first."""
    filters = TraceFilters(query=source.query or None, since=since)
    found: list[str] = []
    after: tuple[int, int] | None = None
    while True:
        with home.read() as uow:
            page = traces.list_traces(uow, actor, filters=filters, after=after, limit=_PAGE)
            wanted = [one.trace_id for one in page.items if sampled(one.trace_id, source.share)]
            known = items.known_keys(uow.conn, actor.scope, queue.id, wanted)
        found += [trace_id for trace_id in wanted if trace_id not in known]
        after = page.next
        if after is None:
            return found[::-1]


def _add(home: Home, actor: Actor, queue: Queue, trace_ids: list[str], room: int) -> int:
    added = 0
    made = trace_items(home, actor, queue, islice(trace_ids, room), Counter())
    while batch := list(islice(made, _PAGE)):
        with home.begin() as uow:
            current = lists.queue_by_id(uow.conn, actor.scope, queue.id)
            if current is None:  # deleted meanwhile
                return added
            added += items.add_items(uow.conn, actor.scope, batch)
    return added
