"""Training runs as background jobs."""

from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from penstock.core import clock
from penstock.core.errors import Busy, Cancelled
from penstock.core.events import Envelope
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.core.scope import system_actor
from penstock.core.uow import UnitOfWork
from penstock.training import repeating, service
from penstock.training.search import jobs as search_jobs
from penstock.training.search import service as searching
from penstock.training.share.model import NoRoom
from penstock.training.share.quiet import untimed

RETRY_SECONDS = 5.0
PATIENCE = timedelta(minutes=10)
"""A judging that was put off for so long waits for the next moment in which nothing is timed."""


def run_training(ctx: JobContext) -> dict[str, Any]:
    """Do the run named in the spec; after a crash the next attempt goes on from the last checkpoint.

    When the server is stopped, the run stops too and waits for the next one; without room on the machine it is
    tried again in a while.
    """
    try:
        run = service.perform(
            ctx.home,
            ctx.actor,
            run_id=ctx.spec["run_id"],
            progress=ctx.progress,
            cancelled=ctx.cancelled,
            stopping=ctx.stopping,
        )
    except Cancelled:
        if not ctx.stopping() or ctx.cancelled():
            raise
        raise Postponed("The server is stopping; the run goes on when it is back.") from None
    except NoRoom as full:
        raise Postponed(full.message, seconds=RETRY_SECONDS) from None
    return {"run_id": run.id, "state": str(run.state), "model": run.model}


def judge_version(ctx: JobContext) -> dict[str, Any]:
    """Evaluate the version named in the spec; after a crash the next attempt asks only for the missing answers.

    While something is timed on this machine it is put off, so as not to disturb the figures.
    """
    spec = ctx.spec
    patient = clock.now() - ctx.job.created_at > PATIENCE
    with ExitStack() as held:
        try:
            held.enter_context(untimed(ctx.home, patient=patient, cancelled=ctx.cancelled))
        except Busy:
            raise Postponed("Something is timed on this machine.", seconds=RETRY_SECONDS) from None
        found = repeating.judge(
            ctx.home,
            ctx.actor,
            ref=spec["ref"],
            suite=spec["suite"],
            progress=ctx.progress,
            cancelled=ctx.cancelled,
        )
    return {**spec, "eval_run": found}


def take_given_up(uow: UnitOfWork, envelope: Envelope) -> None:
    """Fail the run or search whose job was given up, with the reason. Subscribed to `jobs.given_up`."""
    actor, data = system_actor(envelope.scope), envelope.data
    told = {"job_id": data["job_id"], "error": data["error"]}
    if data["kind"] == service.JOB_KIND:
        service.give_up(uow, actor, run_id=data["spec"]["run_id"], **told)
    elif data["kind"] == searching.JOB_KIND:
        searching.give_up(uow, actor, search_id=data["spec"]["search_id"], **told)


take_version = repeating.take_version

HANDLERS: dict[str, Handler] = {
    service.JOB_KIND: run_training,
    repeating.JOB_KIND: judge_version,
    **search_jobs.HANDLERS,
}
"""Job kind → handler."""
