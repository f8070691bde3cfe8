"""Prompt optimisation as a background job."""

from typing import Any

from penstock.core.jobs import Handler, JobContext
from penstock.evals.optimise import service


def optimise(ctx: JobContext) -> dict[str, Any]:
    """Carry out the optimisation named in the spec; after a crash the next attempt pays for nothing again."""
    done = service.execute(
        ctx.home, ctx.actor, id=ctx.spec["id"], progress=ctx.progress, cancelled=ctx.cancelled
    )
    return {"id": done.id, "best": done.best, "calls": done.spent.calls}


HANDLERS: dict[str, Handler] = {service.JOB_KIND: optimise}
