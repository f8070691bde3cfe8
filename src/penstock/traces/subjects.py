"""Traces' part of erasing and exporting a person or session."""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.subjects import Handler, Record, Subject, SubjectKind, Thing
from penstock.traces import exporter, intake, lines, log_service, naming, service
from penstock.traces.log_model import LogFilters, LogRecord


def _erase(home: Home, actor: Actor, subject: Subject, dry_run: bool) -> Mapping[str, int]:
    done = service.erase_traces(
        home,
        actor,
        user=subject.named(SubjectKind.USER),
        session=subject.named(SubjectKind.SESSION),
        dry_run=dry_run,
    )
    return {"traces": done.traces, "spans": done.spans, "logs": done.logs}


def _traces(home: Home, actor: Actor, subject: Subject) -> list[str]:
    with home.read() as uow:
        return service.traces_of(
            uow,
            actor,
            user=subject.named(SubjectKind.USER),
            session=subject.named(SubjectKind.SESSION),
        )


def _things(home: Home, actor: Actor, subject: Subject) -> list[Thing]:
    return [("trace", trace_id) for trace_id in _traces(home, actor, subject)]


def _export(home: Home, actor: Actor, subject: Subject) -> Iterator[Record]:
    found = _traces(home, actor, subject)
    for trace_id in found:
        for span in exporter.of_trace(home, actor, trace_id):
            yield Record("span", msgspec.Raw(lines.as_line(span).rstrip()))
        for record in _logs_of(home, actor, trace_id):
            yield _log(record)
    with home.read() as uow:
        spelled = service.names(uow, actor.scope, subject.name)
    kind: Literal["user", "session"] = "user" if subject.kind is SubjectKind.USER else "session"
    hers = frozenset(found)
    for page in naming.log_pages(home, actor, kind, spelled):
        for record in page:
            if record.trace_id not in hers:
                yield _log(record)


def _logs_of(home: Home, actor: Actor, trace_id: str) -> Iterator[LogRecord]:
    filters = LogFilters(trace_id=bytes.fromhex(trace_id))
    after: tuple[int, int] | None = None
    while True:
        with home.read() as uow:
            page = log_service.list_logs(uow, actor, filters=filters, after=after, limit=log_service.MAX_LOGS)
        yield from page.items
        after = page.next
        if after is None:
            return


def _log(record: LogRecord) -> Record:
    shown = {**msgspec.structs.asdict(record), "content": msgspec.structs.asdict(record.content)}
    return Record("log", shown)


HANDLER = Handler(name="traces", erase=_erase, export=_export, things=_things, settle=intake.arrive)
