"""Written pipelines as background jobs."""

from typing import Any

from penstock.core.errors import Cancelled
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.pipelines import service


def run_pipeline(ctx: JobContext) -> dict[str, Any]:
    """Carry out the run named in the spec; after a crash the next attempt goes on behind the finished steps."""
    try:
        found = service.perform(
            ctx.home,
            ctx.actor,
            run_id=ctx.spec["run_id"],
            say=lambda text: ctx.progress({"said": text}),
            cancelled=lambda: ctx.cancelled() or ctx.stopping(),
        )
    except Cancelled:
        if not ctx.stopping() or ctx.cancelled():
            raise
        raise Postponed("The server is stopping; the pipeline goes on when it is back.") from None
    return {"run_id": found.id, "state": str(found.state)}


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_pipeline}
"""Job kind → handler."""
