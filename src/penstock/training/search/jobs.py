"""Searches as background jobs."""

from typing import Any

from penstock.core.errors import Cancelled
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.training.search import service


def run_search(ctx: JobContext) -> dict[str, Any]:
    """Carry on with the search named in the spec; after a crash the next attempt goes on with its open trials."""
    try:
        found = service.perform(
            ctx.home,
            ctx.actor,
            search_id=ctx.spec["search_id"],
            progress=ctx.progress,
            cancelled=ctx.cancelled,
            stopping=ctx.stopping,
        )
    except Cancelled:
        if not ctx.stopping() or ctx.cancelled():
            raise
        raise Postponed("The server is stopping; the search goes on when it is back.") from None
    return {"search_id": found.id, "state": str(found.state), "pareto": found.pareto}


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_search}
"""Job kind → handler."""
