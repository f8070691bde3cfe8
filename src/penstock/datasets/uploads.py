"""Uploaded files on their way into a dataset: what to do with one, now or as a durable job."""

from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.jobs import Job, enqueue
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.datasets import recipe, service
from penstock.datasets.model import OnBadRows, SourceFile, SplitPlan
from penstock.datasets.request import Progress

INGEST = "datasets.ingest"
"""Kind of the job."""


class Upload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An uploaded file and how to ingest it; the spec of a job."""

    dataset: str
    file: str
    """Path of the uploaded file in the home; removed when the job ends."""
    name: str
    """What the file was called."""
    format: str | None = None
    encoding: str | None = None
    on_bad_rows: OnBadRows = "fail"
    recipe: dict[str, Any] | None = None
    splits: dict[str, float] | None = None
    stratify_by: str | None = None
    group_by: str | None = None
    time_by: str | None = None
    seed: int = 0
    key: str | None = None
    append: bool = False
    description: str = ""
    parents: tuple[Link, ...] = ()


def folder(home: Home) -> Path:
    """Return the folder for files that wait to be ingested."""
    return home.folder("uploads")


def start(home: Home, actor: Actor, upload: Upload) -> Job:
    """Queue the ingest of an uploaded file."""
    with home.begin() as uow:
        uow.may(actor, "datasets.write", upload.dataset)
        return enqueue(uow, actor, INGEST, msgspec.to_builtins(upload))


def run(home: Home, actor: Actor, upload: Upload, progress: Progress = service.silent) -> str:
    """Ingest an uploaded file here and now, and remove it; returns the version's ref."""
    path = folder(home) / Path(upload.file).name
    if not path.exists():
        raise NotFound(f"The upload {upload.name} is gone.", hint="Upload it again.")
    source = SourceFile(path=path, name=upload.name, encoding=upload.encoding)
    given = None if upload.recipe is None else recipe.parse(upload.recipe)
    common: dict[str, Any] = {
        "name": upload.dataset,
        "source": source,
        "format": upload.format,
        "on_bad_rows": upload.on_bad_rows,
        "recipe": given,
        "parents": upload.parents,
        "description": upload.description,
        "progress": progress,
    }
    if upload.append:
        version = service.append(home, actor, **common)
    else:
        version = service.ingest(home, actor, splits=_plan(upload), key=upload.key, **common)
    path.unlink(missing_ok=True)
    return version.ref


def _plan(upload: Upload) -> SplitPlan | None:
    if not upload.splits:
        return None
    return SplitPlan(
        fractions=upload.splits,
        seed=upload.seed,
        stratify_by=upload.stratify_by,
        group_by=upload.group_by,
        time_by=upload.time_by,
        order=tuple(upload.splits) if upload.time_by else (),
    )
