"""How a run ends: its state, its lineage, and what others hear of it."""

from typing import Any

from penstock.core import clock
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import service as registry
from penstock.training import bases, inputs, store
from penstock.training.events import RunEnded
from penstock.training.model import UNDER_WAY, RunState, TrainingRun
from penstock.training.registering import LINK_KIND
from penstock.training.share import store as claims


def end(uow: UnitOfWork, actor: Actor, run: TrainingRun, state: RunState, **values: Any) -> None:
    """End a run that is under way; one that was paused or cancelled meanwhile is left as it is."""
    values |= {"state": state, "ended_at": clock.now(), "wish": None}
    if not store.change(uow.conn, actor.scope, run.id, held_in=UNDER_WAY, **values):
        return
    links = [Link("dataset_version", run.dataset, "training data"), *inputs.links(run.recipe)]
    if not bases.is_elsewhere(run.base):
        links.append(Link(registry.LINK_KIND, run.base, "start"))
    uow.link(actor.scope, (LINK_KIND, run.id), links)
    uow.audit(actor, "training.end", run.id, state=str(state), model=values.get("model"))
    uow.publish(RunEnded(run_id=run.id, state=str(state), model=values.get("model")), actor.scope)


def give_up(uow: UnitOfWork, actor: Actor, *, run_id: str, job_id: str | None, error: str) -> None:
    """Fail a run whose job was given up; one that another job carries on is left as it is."""
    run = store.by_id(uow.conn, actor.scope, run_id)
    if run is None or run.job_id != job_id:
        return
    claims.drop_claim(uow.conn, actor.scope, run_id)
    end(uow, actor, run, RunState.FAILED, error=error)
