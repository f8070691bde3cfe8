"""Training runs as background jobs."""

from typing import Any

from penstock.core.errors import Cancelled
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.training import repeating, service
from penstock.training.search import jobs as search_jobs
from penstock.training.share.model import NoRoom

RETRY_SECONDS = 5.0


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
    """Evaluate the version named in the spec; after a crash the next attempt asks only for the missing answers."""
    spec = ctx.spec
    found = repeating.judge(
        ctx.home,
        ctx.actor,
        ref=spec["ref"],
        suite=spec["suite"],
        progress=ctx.progress,
        cancelled=ctx.cancelled,
    )
    return {**spec, "eval_run": found}


take_version = repeating.take_version

HANDLERS: dict[str, Handler] = {
    service.JOB_KIND: run_training,
    repeating.JOB_KIND: judge_version,
    **search_jobs.HANDLERS,
}
"""Job kind → handler."""
