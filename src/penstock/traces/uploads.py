"""Uploaded files on their way into the traces: imported at once, or by a durable job."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.jobs import Job, enqueue
from penstock.core.scope import Actor
from penstock.traces import importer
from penstock.traces.importer import Imported, ImportFormat

IMPORT = "traces.import"
"""Kind of the job. Spec: the fields of `Upload`; progress: rows, spans, quarantined; result: those of `Imported`."""


class Upload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An uploaded file and what it is."""

    file: str
    """Its name in `folder`; removed when the job ends."""
    format: ImportFormat


def folder(home: Home) -> Path:
    """Return the folder for files that wait to be imported."""
    return home.folder("uploads")


def start(home: Home, actor: Actor, upload: Upload) -> Job:
    """Queue the import of an uploaded file."""
    with home.begin() as uow:
        uow.may(actor, "traces.write", "import")
        return enqueue(uow, actor, IMPORT, msgspec.to_builtins(upload))


def run(home: Home, actor: Actor, upload: Upload, progress: Callable[[dict[str, Any]], None]) -> Imported:
    """Import an uploaded file and remove it; after a crash it is read again, and nothing is there twice."""
    path = folder(home) / Path(upload.file).name
    if not path.exists():
        raise NotFound("The uploaded file is gone.", hint="Upload it again.")
    done = importer.import_traces(home, actor, source=path, format=upload.format, progress=progress)
    path.unlink(missing_ok=True)
    return done
