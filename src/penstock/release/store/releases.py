"""SQL of releases, their phases, sums and decisions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, select, update

from penstock.core import ids
from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.release.model import LIVE, Decision, Phase, Plan, Release, State, Verb
from penstock.release.store.tables import (
    decisions,
    phases,
    releases,
    units,
)
from penstock.release.sums import Unit

_CHUNK = 400
UnitKey = tuple[int, str, str]
"""(phase, arm, unit)."""


def at(table: Table, scope: Scope) -> Any:
    """Return the condition that a row of `table` is of the scope."""
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
    query = update(releases).where(at(releases, scope), releases.c.id == release.id)
    conn.execute(query.values(_row(release)))


def get(conn: Connection, scope: Scope, id_or_name: str, *, lock: bool = False) -> Release | None:
    """Return the release of that id, else the newest of that name; `lock` keeps other writers out until the end."""
    named = (releases.c.id == id_or_name) | (releases.c.name == id_or_name)
    order = (releases.c.id != id_or_name, releases.c.id.desc())
    query = select(releases).where(at(releases, scope), named).order_by(*order).limit(1)
    row = conn.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _release(row)


def newest(
    conn: Connection, scope: Scope, *, states: Sequence[State], before: str | None, limit: int
) -> list[Release]:
    """Return releases, newest first; `before` is the id to go on from."""
    query = select(releases).where(at(releases, scope))
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
