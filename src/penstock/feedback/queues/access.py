"""Finding queues and items, and who may do what with them."""

from penstock.core.errors import Denied, NotFound
from penstock.core.scope import Actor, Role
from penstock.core.uow import UnitOfWork
from penstock.feedback.queues.model import Item, Queue
from penstock.feedback.queues.store import items, lists


def find(uow: UnitOfWork, actor: Actor, name: str, *, lock: bool = False) -> Queue:
    """Return the queue; raises NotFound. With `lock` nobody else changes its items until the transaction ends."""
    uow.may(actor, "feedback.read", name)
    found = lists.queue_named(uow.conn, actor.scope, name, lock=lock)
    if found is None:
        raise NotFound(
            f"There is no queue {name!r} in the project {actor.scope.project!r}.",
            hint="penstock queues list shows what there is.",
        )
    return found


def find_item(uow: UnitOfWork, actor: Actor, item_id: str, *, lock: bool = False) -> tuple[Queue, Item]:
    """Return an item with its queue; raises NotFound. `lock` as in `find`."""
    uow.may(actor, "feedback.read", item_id)
    item = items.item_by_id(uow.conn, actor.scope, item_id)
    queue = None if item is None else lists.queue_by_id(uow.conn, actor.scope, item.queue_id, lock=lock)
    if lock:  # it may have changed while another held the lock
        item = items.item_by_id(uow.conn, actor.scope, item_id)
    if item is None or queue is None:
        raise NotFound(f"There is no item {item_id!r} in the project {actor.scope.project!r}.")
    return queue, item


def leads(queue: Queue, actor: Actor) -> bool:
    """Whether the actor made the queue or is an administrator."""
    return queue.created_by == actor.id or actor.role.rank >= Role.ADMIN.rank


def must_lead(uow: UnitOfWork, queue: Queue, actor: Actor) -> None:
    """Raise Denied unless the actor may change the queue and decide about its items."""
    uow.may(actor, "feedback.write", queue.spec.name)
    if not leads(queue, actor):
        raise Denied(f"{actor.name} may not do this in {queue.spec.name!r}; who made it or an admin may.")


def must_annotate(uow: UnitOfWork, queue: Queue, actor: Actor) -> None:
    """Raise Denied unless the actor may answer items of the queue."""
    uow.may(actor, "feedback.write", queue.spec.name)
    if queue.spec.annotators and actor.name not in queue.spec.annotators:
        raise Denied(f"{actor.name} is not an annotator of {queue.spec.name!r}.")
