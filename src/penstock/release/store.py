"""SQL of releases."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Float, Index, Integer, String, Table, Text, delete, select, update

from penstock.core import ids
from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.release.model import LIVE, Decision, DividedCall, Phase, Plan, Release, Score, State, Verb
from penstock.release.sums import Unit

releases = Table(
    "release_releases",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("plan", Json, nullable=False),
    Column("step", Integer, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("shares", Json, nullable=False),
    Column("winner", String(64), nullable=False),
    Column("before", Json),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("step_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index("ix_release_releases_scope", "tenant", "project", "id"),
    Index("ix_release_releases_state", "state"),
)
decisions = Table(
    "release_decisions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("release_id", String(40), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("by", String(200), nullable=False),
    Index("ix_release_decisions_release", "release_id", "id"),
)
phases = Table(
    "release_phases",
    metadata,
    Column("release_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("shares", Json, nullable=False),
    Column("units", Json, nullable=False),
    Column("again", Json, nullable=False),
    Column("sums", Json, nullable=False),
    Column("started_at", UtcTime, nullable=False),
)
units = Table(
    "release_units",
    metadata,
    Column("release_id", String(40), primary_key=True),
    Column("phase", Integer, primary_key=True, autoincrement=False),
    Column("arm", String(64), primary_key=True),
    Column("unit", String(40), primary_key=True),
    Column("sums", Json, nullable=False),
)
"""Metric → (calls, sum) of one person or trace in one phase."""
calls = Table(
    "release_calls",
    metadata,
    Column("release_id", String(40), primary_key=True),
    Column("trace_id", String(32), primary_key=True),
    Column("span_id", String(16), primary_key=True),
    Column("phase", Integer, nullable=False),
    Column("arm", String(64), nullable=False),
    Column("unit", String(40), nullable=False),
    Column("pair", String(16), nullable=False),
    Column("metrics", Json),
    Column("at", UtcTime, nullable=False),
    Index("ix_release_calls_pair", "release_id", "pair"),
    Index("ix_release_calls_at", "release_id", "at"),
)


def _queue(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("release_id", String(40), primary_key=True),
        Column("trace_id", String(32), primary_key=True),
        Column("span_id", String(16), primary_key=True),
        Column("phase", Integer, nullable=False),
        Column("arm", String(64), nullable=False),
        Column("unit", String(40), nullable=False),
        Column("pair", String(16), nullable=False),
        Column("at", UtcTime, nullable=False),
    )


unscored = _queue("release_unscored")
"""Calls whose answers the release's own scorers have not seen yet; of a pair, the copy with its call's span."""
unjudged = _queue("release_unjudged")
"""Likewise those that its judges have not seen."""
scores = Table(
    "release_scores",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("span_id", String(16), nullable=False),
    Column("metric", String(100), nullable=False),
    Column("value", Float, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_release_scores_scope", "tenant", "project", "id"),
)
_CHUNK = 400
UnitKey = tuple[int, str, str]
"""(phase, arm, unit)."""


def _at(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


# -- releases ----------------------------------------------------------------------------------------------


def _release(row: Any) -> Release:
    return Release(
        id=row.id,
        plan=msgspec.convert(row.plan, Plan),
        state=State(row.state),
        step=row.step,
        phase=row.phase,
        shares=row.shares,
        winner=row.winner,
        before=row.before,
        author=row.author,
        created_at=row.created_at,
        step_at=row.step_at,
        ended_at=row.ended_at,
    )


def _row(release: Release) -> dict[str, Any]:
    return {
        "state": str(release.state),
        "step": release.step,
        "phase": release.phase,
        "shares": dict(release.shares),
        "winner": release.winner,
        "before": None if release.before is None else dict(release.before),
        "step_at": release.step_at,
        "ended_at": release.ended_at,
    }


def insert(conn: Connection, scope: Scope, release: Release) -> None:
    """Store a new release."""
    row = _row(release) | {
        "id": release.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "name": release.plan.name,
        "plan": msgspec.to_builtins(release.plan),
        "author": release.author,
        "created_at": release.created_at,
    }
    conn.execute(releases.insert().values(row))


def save(conn: Connection, scope: Scope, release: Release) -> None:
    """Store what has changed of a release."""
    query = update(releases).where(_at(releases, scope), releases.c.id == release.id)
    conn.execute(query.values(_row(release)))


def get(conn: Connection, scope: Scope, id_or_name: str, *, lock: bool = False) -> Release | None:
    """Return the release of that id, else the newest of that name; `lock` keeps other writers out until the end."""
    named = (releases.c.id == id_or_name) | (releases.c.name == id_or_name)
    order = (releases.c.id != id_or_name, releases.c.id.desc())
    query = select(releases).where(_at(releases, scope), named).order_by(*order).limit(1)
    row = conn.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _release(row)


def newest(
    conn: Connection, scope: Scope, *, states: Sequence[State], before: str | None, limit: int
) -> list[Release]:
    """Return releases, newest first; `before` is the id to go on from."""
    query = select(releases).where(_at(releases, scope))
    if states:
        query = query.where(releases.c.state.in_([str(state) for state in states]))
    if before is not None:
        query = query.where(releases.c.id < before)
    return [_release(row) for row in conn.execute(query.order_by(releases.c.id.desc()).limit(limit))]


def live(conn: Connection) -> list[tuple[Scope, str]]:
    """Return (project, id) of the releases of every scope that have not ended, oldest first."""
    query = select(releases.c.tenant, releases.c.project, releases.c.id)
    query = query.where(releases.c.state.in_([str(state) for state in LIVE])).order_by(releases.c.id)
    return [(Scope(row.tenant, row.project), row.id) for row in conn.execute(query)]


# -- decisions ---------------------------------------------------------------------------------------------


def add_decision(conn: Connection, release: Release, decision: Decision) -> None:
    """Write into the decision log."""
    conn.execute(
        decisions.insert().values(
            id=ids.new_id("dcn"),
            release_id=release.id,
            at=decision.at,
            decision=str(decision.decision),
            reason=decision.reason,
            evidence=dict(decision.evidence),
            by=decision.by,
        )
    )


def decisions_of(conn: Connection, release: Release, limit: int) -> list[Decision]:
    """Return the decision log, newest first."""
    query = select(decisions).where(decisions.c.release_id == release.id)
    return [
        Decision(at=row.at, decision=Verb(row.decision), reason=row.reason, evidence=row.evidence, by=row.by)
        for row in conn.execute(query.order_by(decisions.c.at.desc(), decisions.c.id.desc()).limit(limit))
    ]


def has_decided(conn: Connection, release: Release, verb: Verb) -> bool:
    """Return whether that was decided of the release."""
    query = select(decisions.c.id).where(
        decisions.c.release_id == release.id, decisions.c.decision == str(verb)
    )
    return conn.execute(query.limit(1)).first() is not None


# -- sums --------------------------------------------------------------------------------------------------


def put_phase(conn: Connection, release: Release, phase: Phase) -> None:
    """Store a phase over what was known of it."""
    row = {
        "release_id": release.id,
        "number": phase.number,
        "shares": dict(phase.shares),
        "units": dict(phase.units),
        "again": dict(phase.again),
        "sums": msgspec.to_builtins(phase.sums),
        "started_at": phase.started_at,
    }
    upsert(conn, phases, [row], keys=["release_id", "number"], update=["units", "again", "sums"])


def phases_of(conn: Connection, release: Release) -> list[Phase]:
    """Return the phases in order."""
    query = select(phases).where(phases.c.release_id == release.id).order_by(phases.c.number)
    return [
        Phase(
            number=row.number,
            shares=row.shares,
            units=row.units,
            again=row.again,
            sums={arm: {name: tuple(sums) for name, sums in own.items()} for arm, own in row.sums.items()},
            started_at=row.started_at,
        )
        for row in conn.execute(query)
    ]


def units_of(conn: Connection, release: Release, names: Iterable[str]) -> dict[UnitKey, dict[str, Unit]]:
    """Return what is known of units, in every phase and arm they were in: metric → (calls, sum)."""
    wanted = sorted(set(names))
    found: dict[UnitKey, dict[str, Unit]] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(units).where(
            units.c.release_id == release.id, units.c.unit.in_(wanted[start : start + _CHUNK])
        )
        for row in conn.execute(query):
            own = {name: (sums[0], sums[1]) for name, sums in row.sums.items()}
            found[(row.phase, row.arm, row.unit)] = own
    return found


def put_units(conn: Connection, release: Release, known: Mapping[UnitKey, Mapping[str, Unit]]) -> None:
    """Store what is known of units."""
    rows = [
        {"release_id": release.id, "phase": key[0], "arm": key[1], "unit": key[2], "sums": dict(sums)}
        for key, sums in known.items()
    ]
    upsert(conn, units, rows, keys=["release_id", "phase", "arm", "unit"], update=["sums"])


# -- calls that something may still be said about ----------------------------------------------------------

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
    query = select(scores).where(_at(scores, scope)).order_by(scores.c.at, scores.c.id).limit(limit)
    return [Score(**{name: getattr(row, name) for name in _SCORE}) for row in conn.execute(query)]


def settle_scores(conn: Connection, scope: Scope, settled: Sequence[str]) -> None:
    """Delete scores."""
    for start in range(0, len(settled), _CHUNK):
        conn.execute(
            delete(scores).where(_at(scores, scope), scores.c.id.in_(settled[start : start + _CHUNK]))
        )
