"""Durable work on traces: pricing history anew, importing uploaded files, redacting."""

from pathlib import Path
from typing import Any

import msgspec

from penstock.core.jobs.model import Handler, JobContext
from penstock.traces import redaction, reprice, uploads


def run_reprice(ctx: JobContext) -> dict[str, Any]:
    """Price calls anew; after a crash it goes on behind the last recorded part."""
    wanted = msgspec.convert(ctx.spec, reprice.Repricing)
    done = reprice.work(ctx.home, ctx.actor, wanted, checkpoint=ctx.step, on_progress=ctx.progress)
    found: dict[str, Any] = msgspec.to_builtins(done)
    return found


def run_import(ctx: JobContext) -> dict[str, Any]:
    """Import an uploaded file; after a crash it begins again, and what is there is not imported twice."""
    upload = msgspec.convert(ctx.spec, uploads.Upload)

    def watch(report: dict[str, Any]) -> None:
        ctx.check_cancelled()
        ctx.progress(report)

    def work() -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(uploads.run(ctx.home, ctx.actor, upload, watch))
        return found

    try:
        return ctx.step("import", work)
    finally:
        # Reached however the job ends, but not when the process is killed: then the file is needed again.
        (uploads.folder(ctx.home) / Path(upload.file).name).unlink(missing_ok=True)


def run_redact(ctx: JobContext) -> dict[str, Any]:
    """Redact traces; after a crash it begins again, and what is redacted stays as it is."""

    def watch(report: dict[str, Any]) -> None:
        ctx.check_cancelled()
        ctx.progress(report)

    return ctx.step("redact", lambda: redaction.run(ctx.home, ctx.actor, ctx.spec, watch)._asdict())


HANDLERS: dict[str, Handler] = {
    reprice.JOB_KIND: run_reprice,
    uploads.IMPORT: run_import,
    redaction.JOB_KIND: run_redact,
}
