"""Log records: written once, joined to their spans, listed, and let go of."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, text

from penstock.core import clock
from penstock.core.db import is_sqlite
from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.traces import body, documents, log_join, times
from penstock.traces.log_model import LogContent, LogFilters, LogPage, LogRecord
from penstock.traces.otlp_logs import OtlpLog
from penstock.traces.store import log_tables, read, rollup
from penstock.traces.store.prepare import (
    AT,
    ERROR,
    SPAN_COLUMNS,
    Prepared,
    clean,
    identifier,
    judged,
    label,
    preview,
)
from penstock.traces.store.sql import insert_rows, placeholder, quoted

_COLUMNS = tuple(column.name for column in log_tables.logs.columns if column.name != "id")
_PREVIEW_CHARS, _SCANNED, _CHUNK, _JOINED = 1000, 20_000, 200, 1000
_SEVEREST = 24
JOIN_LOCK = 0x7E57_0002
"""Advisory lock on PostgreSQL: writers of spans share it, writers of events that are joined hold it alone."""
_content = msgspec.msgpack.Decoder(LogContent)

Key = tuple[int, bytes, bytes]
"""(number of the scope, trace id, span id)."""


@dataclass(slots=True)
class PreparedLog:
    """A log record ready to be written: `row` in the order of the table, without id and scope."""

    scope: Scope
    trace_id: bytes | None
    span_id: bytes | None
    joins: bool
    response_id: str | None
    row: tuple[Any, ...]


def prepare_log(scope: Scope, log: OtlpLog) -> PreparedLog:
    """Return `log` ready to be written; raises Invalid for malformed ids."""
    trace_id = identifier(log.trace_id, 16, "trace id") if log.trace_id else None
    span_id = identifier(log.span_id, 8, "span id") if log.span_id else None
    if span_id is not None and trace_id is None:
        raise Invalid(f"The log record names the span {log.span_id!r} but no trace.")
    about = log_join.response_of(log) if trace_id is None else None
    response_id = label(about)
    joins = log.event in log_join.EVENTS and (span_id is not None or response_id is not None)
    content = LogContent(
        body=log.body, attributes=log.attributes, resource=dict(log.resource), scope=dict(log.scope)
    )
    said = documents.encode(log.body).decode() if not isinstance(log.body, str | None) else log.body or ""
    service = log.resource.get("service.name")
    data = body.pack_any(content)
    moment = _moment(log)
    named = (log.at_ns, log.observed_ns, log.severity, log.event, log.trace_id, log.span_id)
    digest = hashlib.blake2b(msgspec.msgpack.encode([str(part) for part in named]), digest_size=16)
    digest.update(body.unpack_any(data))
    row = (
        moment,
        trace_id,
        span_id,
        max(0, min(log.severity, _SEVEREST)),
        joins,
        label(log.event),
        label(documents.as_text(service)) if service else None,
        response_id,
        clean(said, _PREVIEW_CHARS),
        digest.digest(),
        data,
    )
    return PreparedLog(scope, trace_id, span_id, joins, response_id, row)


def _moment(log: OtlpLog) -> int:
    now = clock.now_ns()
    return next((at for at in (log.at_ns, log.observed_ns) if times.plausible(at, now)), now)


def told_apart(records: Iterable[PreparedLog]) -> list[PreparedLog]:
    """Return the records of one request with digests of their own for those that are alike in every byte."""
    seen: dict[bytes, int] = {}
    found = []
    for record in records:
        *row, digest, data = record.row
        count = seen[digest] = seen.get(digest, -1) + 1
        if count:
            again = hashlib.blake2b(digest + str(count).encode(), digest_size=16).digest()
            found.append(replace(record, row=(*row, again, data)))
        else:
            found.append(record)
    return found


def insert(conn: Connection, scopes: Mapping[Scope, int], records: Sequence[PreparedLog]) -> None:
    """Write `records`; those that are there already are left alone."""
    rows = [(scopes[record.scope], *record.row) for record in records]
    rows.sort(key=lambda row: (row[0], row[-2]))  # one order for everybody: no ring of waiting writers
    insert_rows(conn, "traces_logs", _COLUMNS, rows, keys=("scope_id", "digest"))


def lock(conn: Connection, *, alone: bool) -> None:
    """Keep events and spans of every scope from missing each other where writers run side by side (PostgreSQL)."""
    if not is_sqlite(conn):
        name = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        conn.execute(text(f"SELECT {name}(:key)"), {"key": JOIN_LOCK})


def with_logs(conn: Connection, scopes: Mapping[Scope, int], spans: Sequence[Prepared]) -> list[Prepared]:
    """Return `spans` with what stored log events say of them."""
    found: dict[Key, list[LogRecord]] = {}
    by_scope: dict[int, set[bytes]] = {}
    for span in spans:
        by_scope.setdefault(scopes[span.scope], set()).add(span.trace_id)
    for number, traces in by_scope.items():
        if _any(conn, number):
            found |= _events(conn, number, sorted(traces))
    if not found:
        return list(spans)
    return [
        joined(span, events)
        if (events := found.get((scopes[span.scope], span.trace_id, span.row[0])))
        else span
        for span in spans
    ]


def _any(conn: Connection, number: int) -> bool:
    query = text("SELECT 1 FROM traces_logs WHERE scope_id = :scope AND trace_id > :first LIMIT 1")
    return conn.execute(query, {"scope": number, "first": b""}).first() is not None


def _events(conn: Connection, number: int, traces: Sequence[bytes]) -> dict[Key, list[LogRecord]]:
    """Return the events to be joined, by span, as they happened."""
    found: dict[Key, list[LogRecord]] = {}
    mark = placeholder(conn)
    for start in range(0, len(traces), _CHUNK):
        some = traces[start : start + _CHUNK]
        query = (
            f"SELECT id, {quoted(_COLUMNS)} FROM traces_logs WHERE scope_id = {mark} AND trace_id IN "
            f"({', '.join([mark] * len(some))}) AND joins ORDER BY at_ns, id"
        )
        for row in conn.exec_driver_sql(query, (number, *some)):
            found.setdefault((number, bytes(row.trace_id), bytes(row.span_id)), []).append(_record(row))
    return found


def joined(span: Prepared, events: Iterable[LogRecord]) -> Prepared:
    """Return `span` with what `events` say; the same span when they say nothing new."""
    events = list(events)
    held = body.unpack(span.body)
    new = log_join.joined(held, events)
    row = list(span.row)
    if row[AT["status"]] == ERROR and not row[AT["error"]] and (said := log_join.error_of(events)):
        row[AT["error"]] = clean(said, 2000)
    if new == held and tuple(row) == tuple(span.row):
        return span
    row[AT["input_preview"]], row[AT["output_preview"]] = preview(new.input), preview(new.output)
    scores = {key: value for key, value in new.metadata.items() if held.metadata.get(key) != value}
    pairs = tuple((label("metadata." + key) or "", label(value) or "") for key, value in scores.items())
    return replace(
        span,
        row=tuple(row),
        body=body.pack_any(new),
        facets=(*span.facets, *pairs),
        scores=judged(new.evaluations),
    )


def join_stored(
    conn: Connection, scopes: Mapping[Scope, int], records: Iterable[PreparedLog]
) -> list[Prepared]:
    """Join the stored spans that `records`, already inserted, belong to; returns those that changed.

    Rows, bodies and words are brought up to date here; the caller adds the facets of what is returned.
    """
    wanted: dict[tuple[Scope, bytes], set[bytes]] = {}
    for record in records:
        if record.joins and record.trace_id is not None and record.span_id is not None:
            wanted.setdefault((record.scope, record.trace_id), set()).add(record.span_id)
    changed = []
    for (scope, trace_id), span_ids in sorted(wanted.items(), key=lambda item: item[0][1]):
        trace = read.trace_row(conn, scope, trace_id)
        if trace is None:
            continue
        events = _events(conn, scopes[scope], [trace_id])
        for span_id in sorted(span_ids):
            held = _stored(conn, scope, trace, trace_id, span_id)
            if held is None:
                continue
            number, span = held
            new = joined(span, events.get((scopes[scope], trace_id, span_id), ()))
            if new is not span:
                _update(conn, number, new)
                changed.append(new)
    return changed


def _stored(
    conn: Connection, scope: Scope, trace: int, trace_id: bytes, span_id: bytes
) -> tuple[int, Prepared] | None:
    query = text(
        f"SELECT id, (SELECT data FROM traces_bodies b WHERE b.id = s.id) AS data, {quoted(SPAN_COLUMNS)} "
        "FROM traces_spans s WHERE trace = :trace AND span_id = :span"
    )
    row = conn.execute(query, {"trace": trace, "span": span_id}).first()
    if row is None:
        return None
    return row.id, Prepared(scope, trace_id, tuple(row[2:]), bytes(row.data), ())


def _update(conn: Connection, number: int, span: Prepared) -> None:
    rollup.unindex(conn, [number])
    names = ("error", "input_preview", "output_preview")
    query = text(f"UPDATE traces_spans SET {', '.join(f'{name} = :{name}' for name in names)} WHERE id = :id")
    conn.execute(query, {name: span.row[AT[name]] for name in names} | {"id": number})
    conn.execute(
        text("UPDATE traces_bodies SET data = :data WHERE id = :id"), {"data": span.body, "id": number}
    )
    rollup.reindex(conn, number)


def _record(row: Any) -> LogRecord:
    return LogRecord(
        id=row.id,
        at_ns=row.at_ns,
        trace_id=None if row.trace_id is None else bytes(row.trace_id).hex(),
        span_id=None if row.span_id is None else bytes(row.span_id).hex(),
        severity=row.severity,
        event=row.event,
        service=row.service,
        content=_content.decode(body.unpack_any(bytes(row.data))),
    )


def list_logs(
    conn: Connection, scope: Scope, filters: LogFilters, *, after: tuple[int, int] | None, limit: int
) -> LogPage:
    """Return up to `limit` records, newest first, after the cursor `after`.

    A search for text looks at 20,000 records at most; a page may then be short and still have a `next`.
    """
    where, values = _conditions(conn, scope, filters)
    if after is not None:
        where.append("(at_ns, id) < (:at, :id)")
        values |= {"at": after[0], "id": after[1]}
    scanned = limit + 1 if not filters.q else _SCANNED
    query = text(
        f"SELECT id, at_ns, preview FROM traces_logs WHERE {' AND '.join(where)} "
        "ORDER BY at_ns DESC, id DESC LIMIT :limit"
    )
    rows = conn.execute(query, values | {"limit": scanned}).all()
    wanted = (filters.q or "").casefold()
    hits = [row for row in rows if wanted in row.preview.casefold()] if wanted else list(rows)
    following: tuple[int, int] | None
    if len(hits) > limit:
        following = (hits[limit - 1].at_ns, hits[limit - 1].id)
    else:
        following = (rows[-1].at_ns, rows[-1].id) if len(rows) == scanned else None
    return LogPage(items=tuple(_one(conn, row.id) for row in hits[:limit]), next=following)


def _one(conn: Connection, number: int) -> LogRecord:
    query = text(f"SELECT id, {quoted(_COLUMNS)} FROM traces_logs WHERE id = :id")
    return _record(conn.execute(query, {"id": number}).one())


def _conditions(conn: Connection, scope: Scope, filters: LogFilters) -> tuple[list[str], dict[str, Any]]:
    where, values = ["scope_id = :scope"], {"scope": read.scope_id(conn, scope)}
    for name, operator, moment in (("since", ">=", filters.since), ("until", "<", filters.until)):
        if moment is not None:
            where.append(f"at_ns {operator} :{name}")
            values[name] = clock.to_ns(moment)
    for name in ("trace_id", "span_id", "event", "service"):
        if getattr(filters, name) is not None:
            where.append(f"{name} = :{name}")
            values[name] = getattr(filters, name)
    if filters.min_severity:
        where.append("severity >= :severity")
        values["severity"] = filters.min_severity
    return where, values


def walk(conn: Connection, scope: Scope, *, after: int, limit: int) -> list[LogRecord]:
    """Return records by number, up to `limit` behind the number `after`: for work that looks at all of them."""
    query = text(
        f"SELECT id, {quoted(_COLUMNS)} FROM traces_logs WHERE +scope_id = :scope AND id > :after "
        "ORDER BY id LIMIT :limit"
    )
    values = {"scope": read.scope_id(conn, scope), "after": after, "limit": limit}
    return [_record(row) for row in conn.execute(query, values)]


def forget(conn: Connection, scope: Scope, numbers: Sequence[int]) -> int:
    """Delete the records with these numbers; returns how many there were."""
    query = text("DELETE FROM traces_logs WHERE +scope_id = :scope AND id IN :numbers")
    query = query.bindparams(bindparam("numbers", expanding=True))
    values = {"scope": read.scope_id(conn, scope), "numbers": list(numbers)}
    return int(conn.execute(query, values).rowcount)


def expire(conn: Connection, *, before_ns: int, keep: int, limit: int) -> int:
    """Delete up to `limit` records of every scope that are older than `before_ns` or not among the newest `keep`."""
    removed = 0
    for number in conn.execute(text("SELECT id FROM traces_scopes")).scalars().all():
        newest = text(
            "SELECT at_ns FROM traces_logs WHERE scope_id = :scope ORDER BY at_ns DESC, id DESC LIMIT 1 OFFSET :keep"
        )
        beyond = conn.execute(newest, {"scope": number, "keep": keep}).scalar()
        horizon = before_ns if beyond is None else max(before_ns, int(beyond) + 1)
        query = text(
            "DELETE FROM traces_logs WHERE id IN (SELECT id FROM traces_logs WHERE scope_id = :scope "
            "AND at_ns < :before ORDER BY at_ns LIMIT :limit)"
        )
        values = {"scope": number, "before": horizon, "limit": limit - removed}
        removed += int(conn.execute(query, values).rowcount)
        if removed >= limit:
            break
    return removed
