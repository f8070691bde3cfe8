"""SQL of fine-tuning at a provider."""

from typing import Any

from sqlalchemy import Column, Connection, Index, String, Table, Text, select, update

from penstock.core.db import Json, UtcTime, metadata
from penstock.core.scope import Scope
from penstock.training.hosted.model import HOSTED_ENDED, HostedJob, HostedState, hosted_plan

hosted = Table(
    "training_hosted",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("provider", String(100), nullable=False),
    Column("plan", Json, nullable=False),
    Column("dataset", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("remote", Json, nullable=False),
    Column("model", String(300)),
    Column("error", Text),
    Column("wish", String(16)),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index("ix_training_hosted_scope", "tenant", "project", "id"),
)


def _mine(scope: Scope) -> Any:
    return (hosted.c.tenant == scope.tenant) & (hosted.c.project == scope.project)


def _job(row: Any) -> HostedJob:
    return HostedJob(
        id=row.id,
        plan=hosted_plan(row.plan),
        dataset=row.dataset,
        state=HostedState(row.state),
        remote=row.remote,
        model=row.model,
        error=row.error,
        author=row.author,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def insert(conn: Connection, scope: Scope, job: HostedJob) -> None:
    """Store a new job."""
    conn.execute(
        hosted.insert().values(
            tenant=scope.tenant,
            project=scope.project,
            id=job.id,
            provider=job.plan.provider,
            plan=job.plan.to_dict(),
            dataset=job.dataset,
            state=str(job.state),
            remote=job.remote,
            author=job.author,
            created_at=job.created_at,
        )
    )


def change(conn: Connection, scope: Scope, job_id: str, **values: Any) -> None:
    """Set columns of a job."""
    if "state" in values:
        values["state"] = str(values["state"])
    conn.execute(update(hosted).where(_mine(scope), hosted.c.id == job_id).values(**values))


def by_id(conn: Connection, scope: Scope, job_id: str) -> HostedJob | None:
    """Return the job, or None."""
    row = conn.execute(select(hosted).where(_mine(scope), hosted.c.id == job_id)).first()
    return None if row is None else _job(row)


def cancel_wanted(conn: Connection, scope: Scope, job_id: str) -> bool:
    """Whether somebody asked to cancel it."""
    return bool(conn.execute(select(hosted.c.wish).where(_mine(scope), hosted.c.id == job_id)).scalar())


def page(conn: Connection, scope: Scope, *, before: str | None, limit: int) -> list[HostedJob]:
    """Return jobs, newest first, with ids below `before`."""
    query = select(hosted).where(_mine(scope)).order_by(hosted.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(hosted.c.id < before)
    return [_job(row) for row in conn.execute(query)]


def unfinished(conn: Connection) -> list[tuple[Scope, str]]:
    """Return scope and id of the jobs that have not ended, of every scope: the background follows them all."""
    ended = [str(state) for state in HOSTED_ENDED]
    query = select(hosted.c.tenant, hosted.c.project, hosted.c.id).where(hosted.c.state.not_in(ended))
    return [(Scope(row.tenant, row.project), row.id) for row in conn.execute(query)]
