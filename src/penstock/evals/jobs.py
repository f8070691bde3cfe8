"""Evaluations as background jobs."""

from typing import Any

from penstock.core.jobs import Handler, JobContext
from penstock.evals import service
from penstock.evals.optimise import jobs as optimise_jobs


def run_suite(ctx: JobContext) -> dict[str, Any]:
    """Execute the run named in the spec; after a crash the next attempt asks only for the missing samples."""
    run = service.execute(
        ctx.home, ctx.actor, run_id=ctx.spec["run_id"], progress=ctx.progress, cancelled=ctx.cancelled
    )
    return {"run_id": run.id, "done": run.done, "errors": run.errors}


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_suite, **optimise_jobs.HANDLERS}
