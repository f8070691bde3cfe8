"""Making a version known: the dataset's folder and its lock, content that is known already, the record."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core import clock, ids
from penstock.core.disk import storage_error
from penstock.core.home import Home, exclusive
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import store
from penstock.datasets.events import VersionRegistered
from penstock.datasets.model import Dataset, DatasetVersion, check_name

if TYPE_CHECKING:
    from penstock.datasets.ingest import Prepared

KIND = "dataset_version"
"""Kind of a version in lineage; its ref there is `name@number`."""


def folder_of(home: Home, actor: Actor, name: str) -> Path:
    """Return the folder that holds the dataset's table."""
    return home.folder("datasets", actor.scope.tenant, actor.scope.project, check_name(name))


@contextmanager
def workplace(home: Home, actor: Actor, name: str) -> Iterator[tuple[Path, Path]]:
    """Yield the dataset's folder and an empty work folder in it, held by this process alone."""
    folder = folder_of(home, actor, name)
    work = folder / "work"
    try:
        with exclusive(folder / "lock", wait=True):
            # What a killed ingest left behind is of no use to anyone.
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(mode=0o700)
            try:
                yield folder, work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        full = storage_error(error, folder)
        if full is None:
            raise
        raise full from error


def known_version(
    home: Home, actor: Actor, name: str, prepared: "Prepared", links: list[Link]
) -> DatasetVersion | None:
    """Return the version that has this content already, with the new lineage added."""
    with home.begin() as uow:
        known = store.version_by_hash(uow.conn, actor.scope, name, prepared.content)
        if known is not None:
            uow.link(actor.scope, (KIND, known.ref), [link for link in links if link.ref != known.ref])
        return known


def register(
    home: Home,
    actor: Actor,
    name: str,
    prepared: "Prepared",
    table_version: int,
    *,
    links: list[Link],
    description: str,
) -> DatasetVersion:
    """Write the record of rows that are in the table as `table_version`; only now the version exists."""
    request, source = prepared.request, prepared.source
    profile = prepared.profile()
    blob = home.blobs.put_file(prepared.left_out).sha256 if prepared.bad or prepared.removed else ""
    if source.sha256:
        links = [*links, Link("file", f"sha256:{source.sha256}", "source")]
    with home.begin() as uow:
        ensure(uow, actor, name, description)
        newest = store.get_version(uow.conn, actor.scope, name, None)
        version = DatasetVersion(
            id=ids.new_id("dsv"),
            dataset=name,
            number=newest.number + 1 if newest else 1,
            hash=prepared.content,
            rows=prepared.count,
            splits=prepared.split_counts,
            schema=prepared.columns,
            profile=profile,
            quarantined=prepared.bad,
            removed=prepared.removed,
            recipe=request.recipe.plain() if request.recipe else None,
            recipe_report=tuple(_plain(prepared.reports)),
            source=source,
            key=request.key,
            split_plan=_plain(request.plan) if request.plan else None,
            lineage=tuple(links),
            description=description,
            created_at=clock.now(),
            created_by=actor.name,
            table_version=table_version,
            left_out_blob=blob,
        )
        store.insert_version(uow.conn, actor.scope, version)
        uow.link(actor.scope, (KIND, version.ref), links)
        uow.audit(actor, "datasets.ingest", version.ref, rows=version.rows, hash=version.hash)
        uow.publish(
            VersionRegistered(dataset=name, number=version.number, hash=version.hash, rows=version.rows),
            actor.scope,
        )
    return version


def _plain(value: Any) -> Any:
    """Return `value` as the JSON that reading the record back will give."""
    return msgspec.json.decode(msgspec.json.encode(value))


def ensure(uow: UnitOfWork, actor: Actor, name: str, description: str) -> bool:
    """Make the dataset; False when it exists."""
    dataset = Dataset(
        id=ids.new_id("dst"),
        name=check_name(name),
        description=description,
        created_at=clock.now(),
        latest=0,
        rows=0,
    )
    return store.insert_dataset(uow.conn, actor.scope, dataset)
