"""Feedback's part of erasing and exporting a person or session: judgements by or about it, or about its traces."""

from collections.abc import Iterator, Mapping

import msgspec

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.subjects import Handler, Record, Subject, SubjectKind, Thing
from penstock.core.uow import UnitOfWork
from penstock.feedback import store
from penstock.feedback.model import Feedback
from penstock.traces import service as traces

_STEP = 200
"""Judgements that one transaction erases."""


def _found(uow: UnitOfWork, actor: Actor, subject: Subject) -> list[Feedback]:
    uow.may(actor, "feedback.admin", "subject")
    user, session = subject.named(SubjectKind.USER), subject.named(SubjectKind.SESSION)
    items = store.of_traces(uow.conn, actor.scope, traces.traces_of(uow, actor, user=user, session=session))
    if user is not None:
        for name in traces.names(uow, actor.scope, user):
            items += store.of_subject(uow.conn, actor.scope, name)
    return sorted({item.id: item for item in items}.values(), key=lambda item: item.id)


def _listed(home: Home, actor: Actor, subject: Subject) -> list[Feedback]:
    with home.read() as uow:
        return _found(uow, actor, subject)


def _erase(home: Home, actor: Actor, subject: Subject, dry_run: bool) -> Mapping[str, int]:
    items, gone = _listed(home, actor, subject), 0
    if dry_run:
        return {"judgements": len(items)}
    for start in range(0, len(items), _STEP):
        with home.begin() as uow:
            for item in items[start : start + _STEP]:
                traces.remove_score(uow, actor.scope, trace_id=item.trace_id, ref=item.id)
                gone += store.remove(uow.conn, actor.scope, item.id) is not None
    with home.begin() as uow:
        uow.audit(actor, "feedback.erase", "subject", erased=gone)
    return {"judgements": gone}


def _export(home: Home, actor: Actor, subject: Subject) -> Iterator[Record]:
    for item in _listed(home, actor, subject):
        yield Record("feedback", msgspec.to_builtins(item))


def _things(home: Home, actor: Actor, subject: Subject) -> list[Thing]:
    return [("feedback", item.id) for item in _listed(home, actor, subject)]


HANDLER = Handler(name="feedback", erase=_erase, export=_export, things=_things)
