"""SQL of what a release has heard of its calls: the calls, those to be scored, and scores that wait for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.release.model import DividedCall, Release, Score
from penstock.release.store.releases import at
from penstock.release.store.tables import (
    calls,
    scores,
    units,
    unjudged,
    unscored,
)

_CHUNK = 400
_CALL = ("trace_id", "span_id", "phase", "arm", "unit", "pair", "metrics", "at")


def add_calls(conn: Connection, release: Release, given: Sequence[DividedCall]) -> None:
    """Remember where calls belong; one that is known stays as it is."""
    rows = [{"release_id": release.id, **{name: getattr(each, name) for name in _CALL}} for each in given]
    upsert(conn, calls, rows, keys=["release_id", "trace_id", "span_id"])


def _call(row: Any) -> DividedCall:
    return DividedCall(**{name: getattr(row, name) for name in _CALL})


def calls_of_traces(conn: Connection, release: Release, traces: Sequence[str]) -> list[DividedCall]:
    """Return the calls of those traces."""
    found: list[DividedCall] = []
    for start in range(0, len(traces), _CHUNK):
        query = select(calls).where(
            calls.c.release_id == release.id, calls.c.trace_id.in_(traces[start : start + _CHUNK])
        )
        found += [_call(row) for row in conn.execute(query)]
    return found


def take_halves(conn: Connection, release: Release, pairs: Sequence[str]) -> list[DividedCall]:
    """Return and delete the halves of those pairs."""
    found: list[DividedCall] = []
    for start in range(0, len(pairs), _CHUNK):
        at = (calls.c.release_id == release.id) & calls.c.pair.in_(pairs[start : start + _CHUNK])
        found += [_call(row) for row in conn.execute(select(calls).where(at))]
        conn.execute(delete(calls).where(at))
    return found


def forget_calls(conn: Connection, release: Release, *, before: datetime | None = None) -> None:
    """Delete the calls that nobody will say more about: those older than `before`, or all, and then all units too."""
    at = calls.c.release_id == release.id
    if before is not None:
        conn.execute(delete(calls).where(at, calls.c.at < before))
        return
    conn.execute(delete(calls).where(at))
    conn.execute(delete(units).where(units.c.release_id == release.id))
    conn.execute(delete(unscored).where(unscored.c.release_id == release.id))
    forget_unjudged(conn, release)


def forget_unjudged(conn: Connection, release: Release) -> None:
    """Delete what waits for a release's judges."""
    conn.execute(delete(unjudged).where(unjudged.c.release_id == release.id))


_UNSCORED = ("trace_id", "span_id", "phase", "arm", "unit", "pair", "at")


def add_unscored(
    conn: Connection, release: Release, given: Sequence[DividedCall], *, judges: bool = False
) -> None:
    """Remember calls to score, or to judge."""
    rows = [{"release_id": release.id, **{name: getattr(each, name) for name in _UNSCORED}} for each in given]
    upsert(conn, unjudged if judges else unscored, rows, keys=["release_id", "trace_id", "span_id"])


def unscored_of(conn: Connection, release: Release, limit: int, *, judges: bool = False) -> list[DividedCall]:
    """Return the oldest calls to score, or for the `judges`."""
    queue = unjudged if judges else unscored
    query = select(queue).where(queue.c.release_id == release.id).order_by(queue.c.at, queue.c.trace_id)
    rows = conn.execute(query.limit(limit))
    return [DividedCall(**{name: getattr(row, name) for name in _UNSCORED}, metrics=None) for row in rows]


def take_unscored(conn: Connection, release: Release, call: DividedCall, *, judges: bool = False) -> bool:
    """Delete a call to score, or to judge; returns whether it was still there."""
    at = (unjudged if judges else unscored).c
    same = (at.release_id == release.id, at.trace_id == call.trace_id, at.span_id == call.span_id)
    return conn.execute(delete(unjudged if judges else unscored).where(*same)).rowcount > 0


# -- scores ------------------------------------------------------------------------------------------------

_SCORE = ("id", "trace_id", "span_id", "metric", "value", "at")


def add_score(conn: Connection, scope: Scope, score: Score) -> None:
    """Keep a score until the releases of the project have looked at it; twice is once."""
    row = {name: getattr(score, name) for name in _SCORE}
    upsert(conn, scores, [row | {"tenant": scope.tenant, "project": scope.project}], keys=["id"])


def scores_in(conn: Connection, scope: Scope, limit: int) -> list[Score]:
    """Return the oldest scores that nobody has settled."""
    query = select(scores).where(at(scores, scope)).order_by(scores.c.at, scores.c.id).limit(limit)
    return [Score(**{name: getattr(row, name) for name in _SCORE}) for row in conn.execute(query)]


def settle_scores(conn: Connection, scope: Scope, settled: Sequence[str]) -> None:
    """Delete scores."""
    for start in range(0, len(settled), _CHUNK):
        conn.execute(
            delete(scores).where(at(scores, scope), scores.c.id.in_(settled[start : start + _CHUNK]))
        )
