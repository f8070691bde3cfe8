"""Log events that name a response instead of a span: they are given its span, whichever of the two arrives first.

OpenTelemetry's convention for `gen_ai.evaluation.result` asks for `gen_ai.response.id` where the span is not known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces.store.logs import PreparedLog
from penstock.traces.store.prepare import AT, Prepared

_SPAN_ID, _RESPONSE = AT["span_id"], AT["response_id"]


def take(conn: Connection, scopes: Mapping[Scope, int], spans: Sequence[Prepared]) -> None:
    """Give stored events that wait for a response to those of `spans`, about to be written, that tell of it."""
    named: dict[tuple[int, str], Prepared] = {}
    for span in spans:
        if span.row[_RESPONSE] is not None:
            named.setdefault((scopes[span.scope], span.row[_RESPONSE]), span)
    waiting = {number for number in {number for number, _ in named} if _any(conn, number)}
    statement = text(
        "UPDATE traces_logs SET trace_id = :trace, span_id = :span "
        "WHERE scope_id = :scope AND response_id = :response AND span_id IS NULL"
    )
    values = [
        {"scope": number, "response": response, "trace": span.trace_id, "span": span.row[_SPAN_ID]}
        for (number, response), span in sorted(named.items(), key=lambda item: item[0])
        if number in waiting
    ]
    if values:
        conn.execute(statement, values)


def _any(conn: Connection, number: int) -> bool:
    query = text(
        "SELECT 1 FROM traces_logs WHERE scope_id = :scope AND response_id IS NOT NULL AND span_id IS NULL LIMIT 1"
    )
    return conn.execute(query, {"scope": number}).first() is not None


def given_spans(
    conn: Connection, scopes: Mapping[Scope, int], events: Iterable[PreparedLog]
) -> list[PreparedLog]:
    """Return `events`, already inserted, those about a response with its span where one is stored.

    Where several spans have the response's name it is the newest call that began before the event.
    """
    update = text(
        "UPDATE traces_logs SET trace_id = :trace, span_id = :span "
        "WHERE scope_id = :scope AND digest = :digest AND span_id IS NULL"
    )
    held = text("SELECT trace_id, span_id FROM traces_logs WHERE scope_id = :scope AND digest = :digest")
    found = []
    for event in events:
        if event.response_id is None:
            found.append(event)
            continue
        at = {"scope": scopes[event.scope], "digest": event.row[-2]}
        if span := _span(conn, scopes[event.scope], event):
            conn.execute(update, at | {"trace": span[0], "span": span[1]})
        row = conn.execute(held, at).one()
        if row.span_id is not None:
            found.append(replace(event, trace_id=bytes(row.trace_id), span_id=bytes(row.span_id)))
    return found


def _span(conn: Connection, number: int, event: PreparedLog) -> tuple[bytes, bytes] | None:
    query = text(
        "SELECT t.trace_id, s.span_id FROM traces_spans s JOIN traces_traces t ON t.id = s.trace "
        "WHERE s.scope_id = :scope AND s.response_id = :response "
        "ORDER BY CASE WHEN s.start_ns <= :at THEN 0 ELSE 1 END, "
        "CASE WHEN s.duplicate_of IS NULL THEN 0 ELSE 1 END, s.start_ns DESC LIMIT 1"
    )
    values = {"scope": number, "response": event.response_id, "at": event.row[0]}
    row = conn.execute(query, values).first()
    return None if row is None else (bytes(row.trace_id), bytes(row.span_id))
