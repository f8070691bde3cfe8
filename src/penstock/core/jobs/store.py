"""SQL of jobs and their steps."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    or_,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, is_sqlite, metadata, upsert
from penstock.core.jobs.model import Job, JobState
from penstock.core.scope import Actor, Role, Scope

jobs = Table(
    "core_jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("key", String(200)),
    Column("spec", Json, nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor_name", String(200), nullable=False),
    Column("actor_role", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False),
    Column("progress", Json),
    Column("result", Json),
    Column("error", Text),
    Column("cancel_requested", Boolean, nullable=False),
    Column("leased_by", String(64)),
    Column("leased_until", UtcTime),
    Column("not_before", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    UniqueConstraint("tenant", "project", "kind", "key"),
    Index("ix_core_jobs_due", "state", "not_before"),
)
steps = Table(
    "core_job_steps",
    metadata,
    Column("job_id", String(40), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("result", Json),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
)


def _job(row: Any) -> Job:
    scope = Scope(row.tenant, row.project)
    return Job(
        id=row.id,
        kind=row.kind,
        key=row.key,
        spec=row.spec,
        actor=Actor(id=row.actor_id, name=row.actor_name, role=Role(row.actor_role), scope=scope),
        state=JobState(row.state),
        attempts=row.attempts,
        progress=row.progress,
        result=row.result,
        error=row.error,
        cancel_requested=row.cancel_requested,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        priority=row.priority,
    )


def insert(conn: Connection, job: Job) -> None:
    """Store a new job, due at once; a job of the same project, kind and key is left as it is."""
    scope = job.actor.scope
    row = {
        "id": job.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "kind": job.kind,
        "key": job.key,
        "spec": job.spec,
        "actor_id": job.actor.id,
        "actor_name": job.actor.name,
        "actor_role": str(job.actor.role),
        "state": str(job.state),
        "priority": job.priority,
        "attempts": 0,
        "cancel_requested": False,
        "not_before": job.created_at,
        "created_at": job.created_at,
    }
    upsert(conn, jobs, [row], keys=["tenant", "project", "kind", "key"])


def by_id(conn: Connection, job_id: str, scope: Scope | None) -> Job | None:
    """Return the job; `scope=None` is for the runner, which serves all projects."""
    query = select(jobs).where(jobs.c.id == job_id)
    if scope is not None:
        query = query.where(jobs.c.tenant == scope.tenant, jobs.c.project == scope.project)
    row = conn.execute(query).first()
    return None if row is None else _job(row)


def by_key(conn: Connection, scope: Scope, kind: str, key: str) -> Job | None:
    """Return the job of that kind and key."""
    query = select(jobs).where(
        jobs.c.tenant == scope.tenant, jobs.c.project == scope.project, jobs.c.kind == kind, jobs.c.key == key
    )
    row = conn.execute(query).first()
    return None if row is None else _job(row)


def newest(conn: Connection, scope: Scope, *, before: str | None, kind: str | None, limit: int) -> list[Job]:
    """Return the project's jobs, newest first, with ids below `before`."""
    query = select(jobs).where(jobs.c.tenant == scope.tenant, jobs.c.project == scope.project)
    if before is not None:
        query = query.where(jobs.c.id < before)
    if kind is not None:
        query = query.where(jobs.c.kind == kind)
    return [_job(row) for row in conn.execute(query.order_by(jobs.c.id.desc()).limit(limit))]


def _due(kinds: list[str], at: datetime) -> ColumnElement[bool]:
    return jobs.c.kind.in_(kinds) & or_(
        (jobs.c.state == "queued") & (jobs.c.not_before <= at),
        (jobs.c.state == "running") & (jobs.c.leased_until < at),
    )


def any_due(conn: Connection, *, kinds: list[str], at: datetime) -> bool:
    """Whether `claim` would find a job: asked first, so that idle workers never take the write lock."""
    return conn.execute(select(jobs.c.id).where(_due(kinds, at)).limit(1)).first() is not None


def claim(conn: Connection, *, kinds: list[str], worker: str, at: datetime, until: datetime) -> Job | None:
    """Lease a job that is due, or whose worker's lease ran out; returns None when there is none.

    The highest priority comes first, then the oldest: one that was postponed keeps its place.
    """
    order = (jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
    query = select(jobs.c.id).where(_due(kinds, at)).order_by(*order).limit(1)
    if not is_sqlite(conn):
        query = query.with_for_update(skip_locked=True)
    found = conn.execute(query).scalar()
    return None if found is None else lease(conn, found, worker=worker, at=at, until=until)


def lease(conn: Connection, job_id: str, *, worker: str, at: datetime, until: datetime) -> Job | None:
    """Give the job to `worker` unless it has ended or another worker's lease still runs."""
    free = jobs.c.state.in_(["queued", "running"]) & or_(
        jobs.c.leased_until.is_(None), jobs.c.leased_until < at, jobs.c.leased_by == worker
    )
    taken = conn.execute(
        update(jobs)
        .where(jobs.c.id == job_id, free)
        .values(
            state="running",
            leased_by=worker,
            leased_until=until,
            attempts=jobs.c.attempts + 1,
            started_at=at,
        )
    )
    return by_id(conn, job_id, None) if taken.rowcount else None


def renew(conn: Connection, job_id: str, worker: str, until: datetime) -> bool:
    """Extend the lease; returns False when another worker holds the job now."""
    query = update(jobs).where(jobs.c.id == job_id, jobs.c.leased_by == worker, jobs.c.state == "running")
    return conn.execute(query.values(leased_until=until)).rowcount > 0


def set_progress(conn: Connection, job_id: str, progress: dict[str, Any]) -> None:
    """Store the latest progress report."""
    conn.execute(update(jobs).where(jobs.c.id == job_id).values(progress=progress))


def cancel_requested(conn: Connection, job_id: str) -> bool:
    """Whether somebody asked to cancel the job."""
    return bool(conn.execute(select(jobs.c.cancel_requested).where(jobs.c.id == job_id)).scalar())


def finish(conn: Connection, job_id: str, worker: str, values: dict[str, Any]) -> bool:
    """Store how the job ended, if `worker` still holds it; returns whether it did."""
    query = update(jobs).where(jobs.c.id == job_id, jobs.c.leased_by == worker)
    return conn.execute(query.values(leased_by=None, leased_until=None, **values)).rowcount > 0


def request_cancel(conn: Connection, scope: Scope, job_id: str, at: datetime) -> bool:
    """Ask for cancelling; a queued job ends at once. Returns whether the job was still open."""
    mine = (jobs.c.id == job_id) & (jobs.c.tenant == scope.tenant) & (jobs.c.project == scope.project)
    ended = conn.execute(
        update(jobs)
        .where(mine, jobs.c.state == "queued")
        .values(state="cancelled", ended_at=at, cancel_requested=True)
    )
    if ended.rowcount:
        return True
    asked = conn.execute(update(jobs).where(mine, jobs.c.state == "running").values(cancel_requested=True))
    return asked.rowcount > 0


def recorded_steps(conn: Connection, job_id: str) -> dict[str, Any]:
    """Return name → result of the job's finished steps."""
    return {row.name: row.result for row in conn.execute(select(steps).where(steps.c.job_id == job_id))}


def record_step(
    conn: Connection, job_id: str, name: str, result: Any, began: datetime, ended: datetime
) -> None:
    """Store a finished step; the first record of a name wins."""
    row = {
        "job_id": job_id,
        "name": name,
        "result": {"value": result},
        "started_at": began,
        "ended_at": ended,
    }
    upsert(conn, steps, [row], keys=["job_id", "name"])
