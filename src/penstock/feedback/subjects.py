"""Feedback's part of erasing and exporting a person or session: what was said by or about it, queue items."""

from collections.abc import Iterator, Mapping

import msgspec

from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.subjects import Handler, Record, Subject, SubjectKind, Thing
from penstock.core.uow import UnitOfWork
from penstock.feedback import store
from penstock.feedback.model import Feedback
from penstock.feedback.queues import service as queues
from penstock.feedback.queues.judging import JUDGEMENT
from penstock.feedback.queues.model import Item
from penstock.traces import service as traces

_STEP = 200
"""Judgements that one transaction erases."""


def _found(uow: UnitOfWork, actor: Actor, subject: Subject) -> list[Feedback]:
    uow.may(actor, "feedback.admin", "subject")
    user, session = subject.named(SubjectKind.USER), subject.named(SubjectKind.SESSION)
    items = store.of_traces(uow.conn, actor.scope, traces.traces_of(uow, actor, user=user, session=session))
    if session is not None:
        items += store.of_session(uow.conn, actor.scope, session)
    if user is not None:
        for name in traces.names(uow, actor.scope, user):
            items += store.of_subject(uow.conn, actor.scope, name)
    return sorted({item.id: item for item in items}.values(), key=lambda item: item.id)


def _queued(uow: UnitOfWork, actor: Actor, subject: Subject) -> list[Item]:
    """Return the items of queues about the subject's traces."""
    uow.may(actor, "feedback.admin", "subject")
    user, session = subject.named(SubjectKind.USER), subject.named(SubjectKind.SESSION)
    return queues.of_traces(uow, actor, traces.traces_of(uow, actor, user=user, session=session))


def _listed(home: Home, actor: Actor, subject: Subject) -> tuple[list[Feedback], list[Item]]:
    with home.read() as uow:
        return _found(uow, actor, subject), _queued(uow, actor, subject)


def _erase(home: Home, actor: Actor, subject: Subject, dry_run: bool) -> Mapping[str, int]:
    items, queued = _listed(home, actor, subject)
    if dry_run:
        return {"judgements": len(items), "queue_items": len(queued)}
    gone = items_gone = 0
    for start in range(0, len(items), _STEP):
        with home.begin() as uow:
            for item in items[start : start + _STEP]:
                traces.remove_score(uow, actor.scope, trace_id=item.trace_id, ref=item.id)
                gone += store.remove(uow.conn, actor.scope, item.id) is not None
    for start in range(0, len(queued), _STEP):
        with home.begin() as uow:
            items_gone += queues.forget(uow, actor, queued[start : start + _STEP])
    with home.begin() as uow:
        uow.audit(actor, "feedback.erase", "subject", erased=gone, queue_items=items_gone)
    return {"judgements": gone, "queue_items": items_gone}


def _export(home: Home, actor: Actor, subject: Subject) -> Iterator[Record]:
    items, queued = _listed(home, actor, subject)
    for item in items:
        yield Record("feedback", msgspec.to_builtins(item))
    for start in range(0, len(queued), _STEP):
        some = queued[start : start + _STEP]
        with home.read() as uow:
            works = queues.works_on(uow, actor, some)
        for one in some:
            yield Record("queue_item", msgspec.to_builtins(one))
        for work in works:
            yield Record("judgement", msgspec.to_builtins(work))


def _things(home: Home, actor: Actor, subject: Subject) -> list[Thing]:
    items, queued = _listed(home, actor, subject)
    with home.read() as uow:
        works = queues.works_on(uow, actor, queued)
    return [("feedback", item.id) for item in items] + [(JUDGEMENT, work.id) for work in works]


HANDLER = Handler(name="feedback", erase=_erase, export=_export, things=_things)


def queue_names(uow: UnitOfWork, scope: Scope, ids: list[str]) -> dict[str, str]:
    """Return what people call the queues with those ids, for lineage, which knows them by id."""
    return queues.names_of(uow.conn, scope, ids)
