"""What the tests of annotation queues share: people, queues, answers."""

from typing import Any

from tests.feedback.test_service import record_call

from penstock.core import ids
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.feedback.queues import service
from penstock.feedback.queues.model import Queue, Taken, Work

QUALITY: dict[str, Any] = {
    "name": "quality",
    "type": "categorical",
    "options": ["good", "fair", "bad"],
    "key": "q",
}


def person(name: str, role: Role = Role.MEMBER, scope: Scope | None = None) -> Actor:
    """Return an annotator."""
    return Actor(id=f"usr_{name}", name=name, role=role, scope=scope or Scope())


def calls(home: Home, actor: Actor, count: int, **changes: Any) -> list[str]:
    """Record so many calls and return their traces, oldest first."""
    return [record_call(home, actor, f"question {n}", f"answer {n}", **changes) for n in range(count)]


def queue(home: Home, actor: Actor, **spec: Any) -> Queue:
    """Make a queue of traces that asks for their quality."""
    made, _ = service.create(home, actor, spec={"name": "review", "labels": [QUALITY], **spec})
    return made


def take(home: Home, actor: Actor, name: str = "review", **options: Any) -> Taken | None:
    """Take the next item."""
    with home.begin() as uow:
        return service.take(uow, actor, name=name, **options)


def took(home: Home, actor: Actor, name: str = "review", **options: Any) -> Taken:
    """Take the next item, of which there must be one."""
    taken = take(home, actor, name, **options)
    assert taken is not None
    return taken


def answer(home: Home, actor: Actor, item_id: str, comment: str = "", **values: Any) -> Work:
    """Answer an item."""
    with home.begin() as uow:
        return service.answer(uow, actor, item_id=item_id, values=values, comment=comment)


def overview(home: Home, actor: Actor, name: str = "review") -> service.Overview:
    """Return the queue with its figures."""
    with home.read() as uow:
        return service.overview(uow, actor, name=name)


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows of a dataset."""
    return [
        {"id": f"r{n}", "question": f"How much is {n} + 1?", "answer": str(n + 1), "target": str(n + 1)}
        for n in range(count)
    ]


def new_trace_id() -> str:
    """Return the id of a trace that is not stored."""
    return ids.new_trace_id()
