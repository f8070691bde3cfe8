"""Durable ingests, pulls from elsewhere, cleanings of large versions, and checks of what is there."""

from pathlib import Path
from typing import Any

import msgspec

from penstock.core.jobs import Handler, JobContext
from penstock.datasets import cleaning, contract_service, pulls, uploads
from penstock.datasets.cleaning import CLEAN, Cleaning
from penstock.datasets.uploads import INGEST, Upload


def _ingest(context: JobContext) -> dict[str, Any]:
    upload = msgspec.convert(context.spec, Upload)

    def watch(report: dict[str, Any]) -> None:
        context.check_cancelled()
        context.progress(report)

    try:
        return {
            "version": context.step("ingest", lambda: uploads.run(context.home, context.actor, upload, watch))
        }
    finally:
        # Reached however the job ends, but not when the process is killed: then the file is needed again.
        (uploads.folder(context.home) / Path(upload.file).name).unlink(missing_ok=True)


def _pull(context: JobContext) -> dict[str, Any]:
    pull = pulls.parse(context.spec)

    def watch(report: dict[str, Any]) -> None:
        context.check_cancelled()
        context.progress(report)

    return {
        "version": context.step("pull", lambda: pulls.run(context.home, context.actor, pull, progress=watch))
    }


def _clean(context: JobContext) -> dict[str, Any]:
    asked = msgspec.convert(context.spec, Cleaning)

    def watch(report: dict[str, Any]) -> None:
        context.check_cancelled()
        context.progress(report)

    return {"version": context.step("clean", lambda: cleaning.run(context.home, context.actor, asked, watch))}


def _check(context: JobContext) -> dict[str, Any]:
    reason = "schedule" if context.spec.get("scheduled") else "demand"

    def look() -> dict[str, Any]:
        run = contract_service.check(context.home, context.actor, context.spec["ref"], reason=reason)
        return {"check": run.id, "state": run.state}

    return dict(context.step("check", look))


HANDLERS: dict[str, Handler] = {
    INGEST: _ingest,
    CLEAN: _clean,
    pulls.PULL: _pull,
    contract_service.CHECK: _check,
}
