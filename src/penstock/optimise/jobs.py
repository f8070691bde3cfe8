"""Optimisations as background jobs."""

from typing import Any

from penstock.core.jobs import Handler, JobContext
from penstock.optimise import service


def run_optimisation(ctx: JobContext) -> dict[str, Any]:
    """Do the optimisation named in the spec; after a crash the next attempt makes only what is missing."""
    found = service.perform(
        ctx.home, ctx.actor, run_id=ctx.spec["id"], progress=ctx.progress, cancelled=ctx.cancelled
    )
    return {"id": found.id, "state": str(found.state), "chosen": found.chosen}


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_optimisation}
"""Job kind → handler."""
