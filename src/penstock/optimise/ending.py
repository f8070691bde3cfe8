"""How an optimisation ends: its state, its lineage, and what others hear of it."""

from dataclasses import replace
from typing import Any

from penstock.core import clock
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.optimise import store
from penstock.optimise.events import OptimisationEnded
from penstock.optimise.model import ENDED, Optimisation, OptimiseState
from penstock.registry import service as registry
from penstock.training import service as training

LINK_KIND = "optimisation"


def end(uow: UnitOfWork, actor: Actor, found: Optimisation, state: OptimiseState, **values: Any) -> None:
    """End an optimisation with these columns."""
    store.change(uow.conn, actor.scope, found.id, state=state, ended_at=clock.now(), **values)
    uow.link(actor.scope, (LINK_KIND, found.id), [Link(registry.LINK_KIND, found.parent, "parent")])
    chosen = values.get("chosen")
    uow.audit(actor, "optimise.end", found.id, state=str(state), chosen=chosen)
    event = OptimisationEnded(optimisation_id=found.id, parent=found.parent, state=str(state), chosen=chosen)
    uow.publish(event, actor.scope)


def give_up(uow: UnitOfWork, actor: Actor, *, run_id: str, error: str) -> None:
    """Fail an optimisation whose job was given up, and the variant it was at; one that has ended is left as it is."""
    found = store.by_id(uow.conn, actor.scope, run_id)
    if found is None or found.state in ENDED:
        return
    for variant in (found.baseline, *found.variants):
        if variant.state is OptimiseState.RUNNING:
            failed = replace(variant, state=OptimiseState.FAILED, error=error)
            store.put_variant(uow.conn, actor.scope, run_id, failed)
    training.drop_claim(uow, actor, run_id)
    end(uow, actor, found, OptimiseState.FAILED, error=error)
