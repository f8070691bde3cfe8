"""Optimisations as background jobs."""

from typing import Any

from penstock.core.events import Envelope
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.core.scope import system_actor
from penstock.core.uow import UnitOfWork
from penstock.optimise import service
from penstock.training.model import NoRoom

RETRY_SECONDS = 5.0


def run_optimisation(ctx: JobContext) -> dict[str, Any]:
    """Do the optimisation named in the spec; after a crash the next attempt makes only what is missing.

    Without room on the machine it is tried again in a while.
    """
    try:
        found = service.perform(
            ctx.home, ctx.actor, run_id=ctx.spec["id"], progress=ctx.progress, cancelled=ctx.cancelled
        )
    except NoRoom as full:
        ctx.progress({"stage": "waiting", "reason": full.message})
        raise Postponed(full.message, seconds=RETRY_SECONDS) from None
    return {"id": found.id, "state": str(found.state), "chosen": found.chosen}


def take_given_up(uow: UnitOfWork, envelope: Envelope) -> None:
    """Fail the optimisation whose job was given up, with the reason. Subscribed to `jobs.given_up`."""
    data = envelope.data
    if data["kind"] == service.JOB_KIND:
        service.give_up(uow, system_actor(envelope.scope), run_id=data["spec"]["id"], error=data["error"])


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_optimisation}
"""Job kind → handler."""
