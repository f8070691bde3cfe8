"""Scores of traces, kept for the slices that give them."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.traces.model import TraceScore
from penstock.traces.store import read
from penstock.traces.store.prepare import clean
from penstock.traces.store.tables import scores

_REF_CHARS, _NAME_CHARS, _ORIGIN_CHARS = 128, 64, 32


def put(conn: Connection, scope: Scope, given: Sequence[TraceScore]) -> None:
    """Store scores; one with the same trace and ref is replaced."""
    number = read.made_scope_id(conn, scope)
    rows = [
        {
            "scope_id": number,
            "trace_id": bytes.fromhex(score.trace_id),
            "ref": clean(score.ref, _REF_CHARS),
            "origin": clean(score.origin, _ORIGIN_CHARS),
            "name": clean(score.name, _NAME_CHARS),
            "value": score.value,
        }
        for score in given
    ]
    keys = ("scope_id", "trace_id", "ref")
    upsert(conn, scores, rows, keys=keys, update=("origin", "name", "value"))


def remove(conn: Connection, scope: Scope, trace_id: bytes, ref: str) -> None:
    """Forget a score."""
    at = (scores.c.scope_id == read.scope_id(conn, scope)) & (scores.c.trace_id == trace_id)
    conn.execute(delete(scores).where(at, scores.c.ref == ref))


def of_trace(conn: Connection, scope: Scope, trace_id: bytes) -> list[TraceScore]:
    """Return the scores of a trace, by name."""
    at = (scores.c.scope_id == read.scope_id(conn, scope)) & (scores.c.trace_id == trace_id)
    found = conn.execute(scores.select().where(at).order_by(scores.c.name, scores.c.ref))
    return [
        TraceScore(trace_id=trace_id.hex(), ref=row.ref, origin=row.origin, name=row.name, value=row.value)
        for row in found
    ]
