"""Durable work on traces: pricing history anew."""

from typing import Any

import msgspec

from penstock.core.jobs.model import Handler, JobContext
from penstock.traces import reprice


def run_reprice(ctx: JobContext) -> dict[str, Any]:
    """Price calls anew; after a crash it goes on behind the last recorded part."""
    wanted = msgspec.convert(ctx.spec, reprice.Repricing)
    done = reprice.work(ctx.home, ctx.actor, wanted, checkpoint=ctx.step, on_progress=ctx.progress)
    found: dict[str, Any] = msgspec.to_builtins(done)
    return found


HANDLERS: dict[str, Handler] = {reprice.JOB_KIND: run_reprice}
