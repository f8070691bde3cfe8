"""Scores of traces, kept for the slices that give them."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, delete, func, select, text

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.traces.model import PromptScore, TraceScore, TraceSummary
from penstock.traces.store import read
from penstock.traces.store.prepare import Prepared, clean
from penstock.traces.store.tables import facet_names, facets, scores, traces

PARTIAL = "partial"
"""Name and ref of the score of a trace that is the rest of one that sampling let go of."""
_TOLD = "otel"
"""Where numbers come from that are part of a span."""
_CHUNK = 500
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


def put_told(conn: Connection, spans: Iterable[Prepared]) -> None:
    """Store the numbers that senders judged their spans with, which are being written, in every scope they name."""
    told: dict[Scope, list[TraceScore]] = {}
    for span in spans:
        for place, (name, value) in enumerate(span.scores):
            ref = f"{_told(span.row[0])}{place}"
            score = TraceScore(trace_id=span.trace_id.hex(), ref=ref, origin=_TOLD, name=name, value=value)
            told.setdefault(span.scope, []).append(score)
    for scope, given in told.items():
        put(conn, scope, given)


def forget_told(conn: Connection, trace: int, span_id: bytes) -> None:
    """Forget the numbers that a span, which is being replaced, came with.

    Its trace is named by row number: every scope has its own.
    """
    start = _told(span_id)
    head = "(SELECT {} FROM traces_traces WHERE id = :trace)"
    query = text(
        f"DELETE FROM traces_scores WHERE scope_id = {head.format('scope_id')} AND trace_id = "
        f"{head.format('trace_id')} AND ref >= :start AND ref < :end"
    )
    conn.execute(query, {"trace": trace, "start": start, "end": f"{start}:"})


def _told(span_id: bytes) -> str:
    """Return how the refs of a span's numbers begin."""
    return f"{_TOLD}/{span_id.hex()}/"


def remove(conn: Connection, scope: Scope, trace_id: bytes, ref: str) -> None:
    """Forget a score."""
    at = (scores.c.scope_id == read.scope_id(conn, scope)) & (scores.c.trace_id == trace_id)
    conn.execute(delete(scores).where(at, scores.c.ref == ref))


def partial(conn: Connection, scope: Scope, trace_id: bytes) -> bool:
    """Return whether a trace is the rest of one that sampling let go of."""
    at = (scores.c.scope_id == read.scope_id(conn, scope)) & (scores.c.trace_id == trace_id)
    return conn.execute(select(scores.c.name).where(at, scores.c.ref == PARTIAL)).first() is not None


def marked(conn: Connection, scope: Scope, found: Sequence[TraceSummary]) -> tuple[TraceSummary, ...]:
    """Return `found` with those traces marked that are the rest of one that sampling let go of."""
    rest: set[str] = set()
    for start in range(0, len(found), _CHUNK):
        named = [bytes.fromhex(one.trace_id) for one in found[start : start + _CHUNK]]
        at = (scores.c.scope_id == read.scope_id(conn, scope)) & scores.c.trace_id.in_(named)
        query = select(scores.c.trace_id).where(at, scores.c.ref == PARTIAL)
        rest.update(bytes(trace_id).hex() for trace_id in conn.execute(query).scalars())
    return tuple(msgspec.structs.replace(one, partial=one.trace_id in rest) for one in found)


def of_trace(conn: Connection, scope: Scope, trace_id: bytes) -> list[TraceScore]:
    """Return the scores of a trace, by name."""
    at = (scores.c.scope_id == read.scope_id(conn, scope)) & (scores.c.trace_id == trace_id)
    found = conn.execute(scores.select().where(at).order_by(scores.c.name, scores.c.ref))
    return [
        TraceScore(trace_id=trace_id.hex(), ref=row.ref, origin=row.origin, name=row.name, value=row.value)
        for row in found
    ]


def by_prompt(
    conn: Connection, scope: Scope, prompts: Sequence[str], *, since_ms: int = 0, until_ms: int | None = None
) -> list[PromptScore]:
    """Return the mean of every kind of score over the traces that used one of `prompts` (`name@version`)."""
    number = read.scope_id(conn, scope)
    found: list[PromptScore] = []
    for start in range(0, len(prompts), _CHUNK):
        query = (
            select(
                facet_names.c.value.label("prompt"),
                scores.c.origin,
                scores.c.name,
                func.count(scores.c.value).label("number"),
                func.avg(scores.c.value).label("mean"),
            )
            .join(facets, facets.c.facet == facet_names.c.id)
            .join(traces, traces.c.id == facets.c.trace)
            .join(scores, (scores.c.scope_id == number) & (scores.c.trace_id == traces.c.trace_id))
            .where(facet_names.c.scope_id == number, facet_names.c.key == "prompt")
            .where(facet_names.c.value.in_(prompts[start : start + _CHUNK]))
            .where(facets.c.at_ms >= since_ms, scores.c.value.is_not(None))
            .group_by(facet_names.c.value, scores.c.origin, scores.c.name)
            .order_by(facet_names.c.value, scores.c.origin, scores.c.name)
        )
        if until_ms is not None:
            query = query.where(facets.c.at_ms < until_ms)
        found += [
            PromptScore(
                prompt=row.prompt, origin=row.origin, name=row.name, count=row.number, mean=float(row.mean)
            )
            for row in conn.execute(query)
        ]
    return found
