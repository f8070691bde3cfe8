"""Evaluations as background jobs."""

from typing import Any

from penstock.core.events import Envelope
from penstock.core.jobs import Handler, JobContext
from penstock.core.scope import system_actor
from penstock.core.uow import UnitOfWork
from penstock.evals import service
from penstock.evals.optimise import jobs as optimise_jobs
from penstock.evals.optimise import service as optimising


def run_suite(ctx: JobContext) -> dict[str, Any]:
    """Execute the run named in the spec; after a crash the next attempt asks only for the missing samples."""
    run = service.execute(
        ctx.home, ctx.actor, run_id=ctx.spec["run_id"], progress=ctx.progress, cancelled=ctx.cancelled
    )
    return {"run_id": run.id, "done": run.done, "errors": run.errors}


def take_given_up(uow: UnitOfWork, envelope: Envelope) -> None:
    """Fail the run or prompt optimisation whose job was given up, with the reason. Subscribed to `jobs.given_up`."""
    actor, data = system_actor(envelope.scope), envelope.data
    told = {"job_id": data["job_id"], "error": data["error"]}
    if data["kind"] == service.JOB_KIND:
        service.give_up(uow, actor, run_id=data["spec"]["run_id"], **told)
    elif data["kind"] == optimising.JOB_KIND:
        optimising.give_up(uow, actor, id=data["spec"]["id"], **told)


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_suite, **optimise_jobs.HANDLERS}
