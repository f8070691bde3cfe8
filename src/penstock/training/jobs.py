"""Training runs as background jobs."""

from typing import Any

from penstock.core.jobs import Handler, JobContext
from penstock.training import service


def run_training(ctx: JobContext) -> dict[str, Any]:
    """Do the run named in the spec; after a crash the next attempt goes on from the last checkpoint."""
    run = service.perform(
        ctx.home, ctx.actor, run_id=ctx.spec["run_id"], progress=ctx.progress, cancelled=ctx.cancelled
    )
    return {"run_id": run.id, "state": str(run.state), "model": run.model}


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_training}
"""Job kind → handler."""
