"""SQL of pipeline runs and their steps."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.pipelines.model import PipelineRun, RunState, StepRecord

runs = Table(
    "pipelines_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("pipeline", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("inputs", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    UniqueConstraint("tenant", "project", "pipeline", "number"),
)
steps = Table(
    "pipelines_steps",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("result", Json, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
)


def _mine(scope: Scope) -> Any:
    return (runs.c.tenant == scope.tenant) & (runs.c.project == scope.project)


def _run(conn: Connection, row: Any) -> PipelineRun:
    waits = row.state == RunState.WAITING
    found = conn.execute(select(steps).where(steps.c.run_id == row.id).order_by(steps.c.position))
    return PipelineRun(
        id=row.id,
        pipeline=row.pipeline,
        number=row.number,
        inputs=row.inputs,
        state=RunState(row.state),
        reason=row.error if waits else None,
        error=None if waits else row.error,
        created_at=row.created_at,
        ended_at=row.ended_at,
        steps=tuple(
            StepRecord(
                name=step.name,
                result=step.result,
                seconds=step.seconds,
                started_at=step.started_at,
                ended_at=step.ended_at,
            )
            for step in found
        ),
    )


def insert(conn: Connection, scope: Scope, run: PipelineRun) -> None:
    """Store a new run."""
    conn.execute(
        runs.insert().values(
            id=run.id,
            tenant=scope.tenant,
            project=scope.project,
            pipeline=run.pipeline,
            number=run.number,
            inputs=run.inputs,
            state=str(run.state),
            created_at=run.created_at,
        )
    )


def newest(conn: Connection, scope: Scope, pipeline: str) -> PipelineRun | None:
    """Return the pipeline's newest run."""
    query = (
        select(runs).where(_mine(scope), runs.c.pipeline == pipeline).order_by(runs.c.number.desc()).limit(1)
    )
    row = conn.execute(query).first()
    return None if row is None else _run(conn, row)


def page(
    conn: Connection,
    scope: Scope,
    *,
    before: str | None,
    limit: int,
    pipeline: str = "",
    state: RunState | None = None,
) -> list[PipelineRun]:
    """Return runs, newest first, with ids below `before`: of one pipeline and in one state, if they are given."""
    query = select(runs).where(_mine(scope))
    if before is not None:
        query = query.where(runs.c.id < before)
    if pipeline:
        query = query.where(runs.c.pipeline == pipeline)
    if state is not None:
        query = query.where(runs.c.state == str(state))
    return [_run(conn, row) for row in conn.execute(query.order_by(runs.c.id.desc()).limit(limit)).all()]


def newest_of_each(conn: Connection, scope: Scope, *, after: str, limit: int) -> list[PipelineRun]:
    """Return the newest run of each pipeline, by name, of names above `after`."""
    last = (
        select(runs.c.pipeline, func.max(runs.c.number).label("number"))
        .where(_mine(scope), runs.c.pipeline > after)
        .group_by(runs.c.pipeline)
        .order_by(runs.c.pipeline)
        .limit(limit)
        .subquery()
    )
    same = (runs.c.pipeline == last.c.pipeline) & (runs.c.number == last.c.number)
    query = select(runs).join(last, same).where(_mine(scope)).order_by(runs.c.pipeline)
    return [_run(conn, row) for row in conn.execute(query).all()]


def by_id(conn: Connection, scope: Scope, run_id: str) -> PipelineRun | None:
    """Return one run."""
    row = conn.execute(select(runs).where(_mine(scope), runs.c.id == run_id)).first()
    return None if row is None else _run(conn, row)


def change(
    conn: Connection,
    run_id: str,
    state: RunState,
    *,
    held_in: Collection[RunState],
    why: str | None = None,
    ended_at: datetime | None = None,
) -> bool:
    """Store where the run is, and why it waits or failed; returns whether it was in one of the states `held_in`.

    Whoever changes a state says which one he saw: two who do it at once must not undo each other's work.
    """
    mine = (runs.c.id == run_id) & runs.c.state.in_([str(each) for each in held_in])
    values = {"state": str(state), "error": why, "ended_at": ended_at}
    return conn.execute(update(runs).where(mine).values(**values)).rowcount > 0


def state_of(conn: Connection, scope: Scope, run_id: str) -> RunState:
    """Return where the run is."""
    found = select(runs.c.state).where(_mine(scope), runs.c.id == run_id)
    return RunState(conn.execute(found).scalar_one())


def record_step(conn: Connection, run_id: str, step: StepRecord) -> None:
    """Store a finished step after those before it."""
    position = conn.execute(select(func.count()).where(steps.c.run_id == run_id)).scalar() or 0
    row = {
        "run_id": run_id,
        "position": position,
        "name": step.name,
        "result": step.result,
        "seconds": step.seconds,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
    }
    upsert(conn, steps, [row], keys=["run_id", "position"])
