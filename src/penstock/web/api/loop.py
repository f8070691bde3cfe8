"""The home page's state: how much there is at each stage of the loop, and what came last."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel

from penstock.core import clock
from penstock.core.http import CurrentActor, ReadUow
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.evals import service as evals
from penstock.feedback import service as feedback
from penstock.registry import service as registry
from penstock.serving import service as serving
from penstock.traces import service as traces
from penstock.traces.model import TraceFilters
from penstock.training import service as training

router = APIRouter(tags=["loop"])
MANY = 1000
BUSY = frozenset({"queued", "running", "starting"})


class Latest(BaseModel):
    """The newest thing of a stage."""

    ref: str
    title: str
    status: str | None = None
    at: datetime | None = None


class Stage(BaseModel):
    """One stage of the loop."""

    count: int
    active: int = 0
    """How many of the newest are under way."""
    latest: Latest | None = None


class Loop(BaseModel):
    """The whole loop."""

    address: str
    """Where this server is reached, for snippets."""
    first_trace_at: datetime | None
    """None until a trace has arrived."""
    stages: dict[str, Stage]


def _datasets(uow: UnitOfWork, actor: Actor) -> Stage:
    found = datasets.list_datasets(uow, actor, limit=MANY)
    newest = [datasets.list_versions(uow, actor, name=d.name, limit=1) for d in found if d.latest]
    versions = sorted((v[0] for v in newest if v), key=lambda v: v.created_at)
    latest = (
        Latest(ref=versions[-1].ref, title=versions[-1].ref, at=versions[-1].created_at) if versions else None
    )
    return Stage(count=sum(d.latest for d in found), latest=latest)


def _training(uow: UnitOfWork, actor: Actor) -> Stage:
    runs = training.list_runs(uow, actor, limit=20)
    latest = (
        Latest(
            ref=runs[0].id,
            title=f"{runs[0].name} ({runs[0].method})",
            status=runs[0].state,
            at=runs[0].created_at,
        )
        if runs
        else None
    )
    return Stage(count=training.count(uow, actor), active=sum(r.state in BUSY for r in runs), latest=latest)


def _models(uow: UnitOfWork, actor: Actor) -> Stage:
    newest = registry.newest(uow, actor)
    latest = (
        Latest(ref=newest.ref, title=newest.ref, status=newest.kind, at=newest.created_at) if newest else None
    )
    return Stage(count=registry.count(uow, actor), latest=latest)


def _evaluations(uow: UnitOfWork, actor: Actor) -> Stage:
    runs = evals.list_runs(uow, actor, limit=20)
    latest = (
        Latest(ref=runs[0].id, title=runs[0].suite, status=runs[0].state, at=runs[0].created_at)
        if runs
        else None
    )
    return Stage(count=evals.count(uow, actor), active=sum(r.state in BUSY for r in runs), latest=latest)


def _gates(uow: UnitOfWork, actor: Actor) -> Stage:
    decisions = evals.gates(uow, actor, limit=1)
    latest = None
    if decisions:
        decision = decisions[0]
        run = evals.get_run(uow, actor, decision.run_id)
        latest = Latest(
            ref=decision.run_id,
            title=run.suite,
            status="passed" if decision.passed else "refused",
            at=decision.created_at,
        )
    return Stage(count=evals.count_gates(uow, actor), latest=latest)


def _deployments(uow: UnitOfWork, actor: Actor) -> Stage:
    found = serving.list_deployments(uow, actor, limit=MANY)
    newest = max(found, key=lambda status: status.deployment.updated_at, default=None)
    latest = None
    if newest is not None:
        at = newest.deployment.updated_at
        latest = Latest(ref=newest.deployment.name, title=newest.deployment.name, status=newest.state, at=at)
    return Stage(count=len(found), active=sum(status.state in BUSY for status in found), latest=latest)


def _traces(uow: UnitOfWork, actor: Actor) -> Stage:
    page = traces.list_traces(uow, actor, filters=TraceFilters(), limit=1)
    rows = traces.usage(uow, actor, group_by="kind")
    calls = sum(row.calls for row in rows if row.group in ("llm", "embedding"))
    latest = None
    if page.items:
        first = page.items[0]
        latest = Latest(
            ref=first.trace_id, title=first.name, status=first.status, at=clock.from_ns(first.start_ns)
        )
    return Stage(count=calls, latest=latest)


def _feedback(uow: UnitOfWork, actor: Actor) -> Stage:
    items = feedback.list_feedback(uow, actor, limit=1)
    latest = Latest(ref=items[0].trace_id, title=items[0].name, at=items[0].created_at) if items else None
    return Stage(count=feedback.count(uow, actor), latest=latest)


STAGES: dict[str, Callable[[UnitOfWork, Actor], Stage]] = {
    "datasets": _datasets,
    "training": _training,
    "models": _models,
    "evaluations": _evaluations,
    "gates": _gates,
    "deployments": _deployments,
    "traces": _traces,
    "feedback": _feedback,
}


@router.get("/loop")
def get_loop(uow: ReadUow, actor: CurrentActor, request: Request) -> Loop:
    """Return how much there is at each stage, and what came last."""
    stages = {name: stage(uow, actor) for name, stage in STAGES.items()}
    newest = stages["traces"].latest
    return Loop(
        address=str(request.base_url).rstrip("/"),
        first_trace_at=newest.at if newest else None,
        stages=stages,
    )
