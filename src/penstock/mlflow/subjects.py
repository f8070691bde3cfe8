"""MLflow's part of erasing and exporting a person or session: notes, assessments, records made of its traces."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.subjects import Handler, Record, Subject, SubjectKind, Thing
from penstock.core.uow import UnitOfWork
from penstock.mlflow.model import SESSION_KEY, USER_KEY, EvalRecord, EvalSet, own_trace
from penstock.mlflow.store import evalsets, notes
from penstock.traces import service as traces

_STEP = 500
_KEYS = {SubjectKind.USER: USER_KEY, SubjectKind.SESSION: SESSION_KEY}


class _Copied(NamedTuple):
    """Records of an evaluation dataset that were made of some traces."""

    dataset: EvalSet
    records: list[EvalRecord]


def _traces(uow: UnitOfWork, actor: Actor, subject: Subject) -> list[str]:
    """Return the subject's traces, and those of which so far only a note is there."""
    uow.may(actor, "traces.admin", "subject")
    user, session = subject.named(SubjectKind.USER), subject.named(SubjectKind.SESSION)
    found = set(traces.traces_of(uow, actor, user=user, session=session))
    found.update(notes.naming(uow.conn, actor.scope, _KEYS[subject.kind], subject.name))
    return sorted(found)


def _copied(home: Home, actor: Actor, trace_ids: Sequence[str]) -> Iterator[_Copied]:
    wanted = frozenset(trace_ids)
    with home.read() as uow:
        datasets = evalsets.everything(uow.conn, actor.scope) if wanted else []
    for dataset in datasets:
        after = ""
        while True:
            with home.read() as uow:
                page = evalsets.list_records(uow.conn, dataset, after=after, limit=_STEP)
            if found := [record for record in page if _source(record) in wanted]:
                yield _Copied(dataset, found)
            if len(page) < _STEP:
                break
            after = page[-1].id


def _source(record: EvalRecord) -> str:
    try:
        return own_trace(str(record.body.get("source_id") or ""))
    except NotFound:
        return ""


def _erase(home: Home, actor: Actor, subject: Subject, dry_run: bool) -> Mapping[str, int]:
    with home.read() as uow:
        found = _traces(uow, actor, subject)
    noted = judged = copied = 0
    for dataset, records in _copied(home, actor, found):
        if dry_run:
            copied += len(records)
            continue
        with home.begin() as uow:
            copied += evalsets.remove_records(uow.conn, dataset, [record.id for record in records])
    for start in range(0, len(found), _STEP):
        some = found[start : start + _STEP]
        with home.read() if dry_run else home.begin() as uow:
            if dry_run:
                noted += len(notes.notes_of(uow.conn, actor.scope, some))
                judged += sum(map(len, notes.assessments_of(uow.conn, actor.scope, some).values()))
            else:
                gone = notes.remove_notes(uow.conn, actor.scope, some)
                noted, judged = noted + gone[0], judged + gone[1]
    return {"notes": noted, "assessments": judged, "dataset records": copied}


def _export(home: Home, actor: Actor, subject: Subject) -> Iterator[Record]:
    with home.read() as uow:
        found = _traces(uow, actor, subject)
    for start in range(0, len(found), _STEP):
        some = found[start : start + _STEP]
        with home.read() as uow:
            noted = notes.notes_of(uow.conn, actor.scope, some)
            judged = notes.assessments_of(uow.conn, actor.scope, some)
        yield from (Record("note", msgspec.to_builtins(note)) for note in noted.values())
        yield from (Record("assessment", one.body) for items in judged.values() for one in items)
    for dataset, records in _copied(home, actor, found):
        yield from (Record("dataset record", {"dataset": dataset.name, **one.body}) for one in records)


def _things(home: Home, actor: Actor, subject: Subject) -> list[Thing]:
    with home.read() as uow:
        return [("trace", trace_id) for trace_id in _traces(uow, actor, subject)]


HANDLER = Handler(name="mlflow", erase=_erase, export=_export, things=_things)
