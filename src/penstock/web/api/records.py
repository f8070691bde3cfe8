"""Jobs, the audit log and lineage."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from penstock.core import audit, jobs, lineage
from penstock.core.errors import Invalid, NotFound
from penstock.core.http import AdminActor, CurrentActor, Page, ReadUow, WriteUow
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces import service as traces

router = APIRouter(tags=["records"])

Limit = Annotated[int, Query(ge=1, le=200)]


class JobModel(BaseModel):
    """A piece of durable work."""

    id: str
    kind: str
    state: jobs.JobState
    attempts: int
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class AuditModel(BaseModel):
    """One recorded act."""

    number: int
    at: datetime
    actor_id: str
    actor_name: str
    action: str
    target: str
    detail: dict[str, Any]
    hash: str


class ChainState(BaseModel):
    """Whether the audit chain holds."""

    entries: int
    whole: bool
    broken_at: int | None


class EdgeModel(BaseModel):
    """`child` was made from `parent`, which played `role`."""

    child_kind: str
    child_ref: str
    parent_kind: str
    parent_ref: str
    role: str
    created_at: datetime
    child_name: str | None = Field(description="What people call it, where the reference is an id; else null")
    parent_name: str | None


def _job(job: jobs.Job) -> JobModel:
    return JobModel.model_validate(msgspec.to_builtins(job))


@router.get("/jobs")
def list_jobs(
    uow: ReadUow, actor: CurrentActor, cursor: str | None = None, kind: str | None = None, limit: Limit = 100
) -> Page[JobModel]:
    """List jobs, newest first."""
    found = jobs.list_jobs(uow, actor, before=cursor, kind=kind, limit=limit + 1)
    return Page(
        items=[_job(j) for j in found[:limit]], next=found[limit - 1].id if len(found) > limit else None
    )


@router.get("/jobs/{job_id}")
def get_job(uow: ReadUow, actor: CurrentActor, job_id: str) -> JobModel:
    """Return one job."""
    return _job(jobs.get(uow, actor, job_id))


@router.post("/jobs/{job_id}/cancel")
def cancel_job(uow: WriteUow, actor: CurrentActor, job_id: str) -> JobModel:
    """Ask a job to stop."""
    return _job(jobs.cancel(uow, actor, job_id))


@router.get("/audit")
def list_audit(
    uow: ReadUow, actor: AdminActor, cursor: int | None = None, limit: Limit = 100
) -> Page[AuditModel]:
    """List the project's audit entries, newest first."""
    found = audit.page(uow.conn, actor.scope, before=cursor, limit=limit + 1)
    items = [AuditModel.model_validate(msgspec.to_builtins(entry)) for entry in found[:limit]]
    return Page(items=items, next=str(found[limit - 1].number) if len(found) > limit else None)


@router.get("/audit/verify")
def verify_audit(uow: ReadUow, actor: AdminActor) -> ChainState:  # noqa: ARG001 - the role is what is needed
    """Check the whole hash chain."""
    broken = audit.verify(uow.conn)
    return ChainState(entries=audit.count(uow.conn), whole=broken is None, broken_at=broken)


@router.get("/lineage/{kind}/{ref:path}")
def get_lineage(
    uow: ReadUow,
    actor: CurrentActor,
    kind: str,
    ref: str,
    direction: Literal["up", "down"] = "up",
    depth: Annotated[int, Query(ge=1, le=24)] = 12,
) -> Page[EdgeModel]:
    """Return what a thing was made from (up) or what was made from it (down), nearest first.

    A trace was made by the deployments that answered it: their versions are the models of its spans.
    """
    uow.may(actor, "lineage.read", f"{kind}/{ref}")
    found = lineage.neighbours(uow.conn, actor.scope, kind, ref, direction=direction, depth=depth)
    if (kind, direction) == ("trace", "up"):
        found += _of_trace(uow, actor, ref, depth)
    children = [(edge.child_kind, edge.child_ref) for edge in found]
    parents = [(edge.parent_kind, edge.parent_ref) for edge in found]
    names = lineage.names_of(uow, actor.scope, [*children, *parents])
    items = [
        EdgeModel.model_validate(
            msgspec.to_builtins(edge) | {"child_name": names.get(child), "parent_name": names.get(parent)}
        )
        for edge, child, parent in zip(found, children, parents, strict=True)
    ]
    return Page(items=items)


def _of_trace(uow: UnitOfWork, actor: Actor, trace_id: str, depth: int) -> list[lineage.Edge]:
    """Return the edges from a trace to the deployments that answered it, and from those on."""
    try:
        models = traces.models_of(uow, actor, trace_id=trace_id)
    except (NotFound, Invalid):
        # Lineage outlives the traces it speaks of.
        return []
    found: dict[lineage.Edge, None] = {}
    for model in (name for name in models if "@" in name):
        above = lineage.neighbours(uow.conn, actor.scope, "deployment", model, depth=depth)
        if above:
            answered = lineage.Edge(
                child_kind="trace",
                child_ref=trace_id,
                parent_kind="deployment",
                parent_ref=model,
                role="answered",
                created_at=above[0].created_at,
            )
            found |= dict.fromkeys([answered, *(above if depth > 1 else [])])
    return list(found)
