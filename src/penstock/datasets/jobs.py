"""Durable ingests of uploaded files."""

from pathlib import Path
from typing import Any

import msgspec

from penstock.core.jobs import Handler, JobContext
from penstock.datasets import uploads
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


HANDLERS: dict[str, Handler] = {INGEST: _ingest}
