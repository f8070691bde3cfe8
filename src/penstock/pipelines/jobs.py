"""Written pipelines as background jobs."""

from typing import Any

from penstock.core.events import Envelope
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.core.scope import system_actor
from penstock.core.uow import UnitOfWork
from penstock.pipelines import service
from penstock.pipelines.attempt import Hooks, Waits


def run_pipeline(ctx: JobContext) -> dict[str, Any]:
    """Carry out the run named in the spec; after a crash the next attempt goes on behind the finished steps.

    A run that has to wait gives its worker back: for room on the machine, for another run of the pipeline, and, when
    the server is stopped, for the next one.
    """
    hooks = Hooks(
        say=lambda text: ctx.progress({"said": text}),
        cancelled=ctx.cancelled,
        stopping=ctx.stopping,
        patient=False,
    )
    try:
        found = service.perform(ctx.home, ctx.actor, run_id=ctx.spec["run_id"], hooks=hooks)
    except Waits as waiting:
        raise Postponed(waiting.message, seconds=waiting.seconds) from None
    return {"run_id": found.id, "state": str(found.state)}


def take_given_up(uow: UnitOfWork, envelope: Envelope) -> None:
    """Fail the run whose job was given up, with the reason. Subscribed to `jobs.given_up`."""
    data = envelope.data
    if data["kind"] == service.JOB_KIND:
        actor = system_actor(envelope.scope)
        service.give_up(uow, actor, run_id=data["spec"]["run_id"], error=data["error"])


HANDLERS: dict[str, Handler] = {service.JOB_KIND: run_pipeline}
"""Job kind → handler."""
