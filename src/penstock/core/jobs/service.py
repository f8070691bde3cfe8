"""The verbs of durable work."""

from typing import Any

from penstock.core import clock, ids
from penstock.core.errors import Conflict, NotFound
from penstock.core.jobs import store
from penstock.core.jobs.model import Job, JobState
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork


def enqueue(
    uow: UnitOfWork,
    actor: Actor,
    kind: str,
    spec: dict[str, Any],
    *,
    key: str | None = None,
    priority: int = 0,
) -> Job:
    """Queue a job in the caller's transaction; with a `key`, a job of that kind and key is returned if there is one.

    Jobs of a higher `priority` are taken first, whoever asked first; the caller sees to it that `actor` may.
    """
    job = Job(
        id=ids.new_id("job"),
        kind=kind,
        key=key,
        spec=spec,
        actor=actor,
        state=JobState.QUEUED,
        attempts=0,
        progress=None,
        result=None,
        error=None,
        cancel_requested=False,
        created_at=clock.now(),
        started_at=None,
        ended_at=None,
        priority=priority,
    )
    store.insert(uow.conn, job)
    if key is None:
        return job
    return store.by_key(uow.conn, actor.scope, kind, key) or job


def get(uow: UnitOfWork, actor: Actor, job_id: str) -> Job:
    """Return the job; raises NotFound."""
    uow.may(actor, "jobs.read", job_id)
    job = store.by_id(uow.conn, job_id, actor.scope)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return job


def by_key(uow: UnitOfWork, actor: Actor, kind: str, key: str) -> Job | None:
    """Return the project's job of that kind and key, or None."""
    uow.may(actor, "jobs.read", key)
    return store.by_key(uow.conn, actor.scope, kind, key)


def list_jobs(
    uow: UnitOfWork, actor: Actor, *, before: str | None = None, kind: str | None = None, limit: int = 100
) -> list[Job]:
    """Return jobs, newest first; `before` is the id to go on from."""
    uow.may(actor, "jobs.read")
    return store.newest(uow.conn, actor.scope, before=before, kind=kind, limit=limit)


def cancel(uow: UnitOfWork, actor: Actor, job_id: str) -> Job:
    """Ask a job to stop; raises NotFound, or Conflict when it has ended."""
    uow.may(actor, "jobs.write", job_id)
    job = get(uow, actor, job_id)
    if not store.request_cancel(uow.conn, actor.scope, job_id, clock.now()):
        raise Conflict(f"The job has ended already ({job.state}).")
    uow.audit(actor, "jobs.cancel", job_id, kind=job.kind)
    return get(uow, actor, job_id)
