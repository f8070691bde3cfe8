"""Making a version known: the dataset's folder and its lock, content that is known already, the record."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from penstock.core import clock, ids
from penstock.core.disk import storage_error
from penstock.core.errors import Invalid
from penstock.core.home import Home, exclusive
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import store
from penstock.datasets.events import ExpectationsUnmet, VersionRegistered
from penstock.datasets.expectations import Verdict, label
from penstock.datasets.model import Dataset, DatasetVersion, Source, check_name
from penstock.datasets.spool import INTERRUPTED
from penstock.datasets.store import contracts
from penstock.datasets.store.contracts import CheckRun, Contract

if TYPE_CHECKING:
    from penstock.datasets.ingest import Prepared

KIND = "dataset_version"
"""Kind of a version in lineage; its ref there is `name@number`."""
MAX_REF = 200


def folder_of(home: Home, actor: Actor, name: str) -> Path:
    """Return the folder that holds the dataset's table."""
    return home.folder("datasets", actor.scope.tenant, actor.scope.project, check_name(name))


@contextmanager
def workplace(home: Home, actor: Actor, name: str) -> Iterator[tuple[Path, Path]]:
    """Yield the dataset's folder and a work folder in it, held by this process alone.

    The work folder goes when the block ends, however it ends, unless the process is killed or what it
    reads from is out of reach: then the next ingest of the same source goes on from what is there.
    """
    folder = folder_of(home, actor, name)
    work = folder / "work"
    try:
        with exclusive(folder / "lock", wait=True):
            work.mkdir(mode=0o700, exist_ok=True)
            try:
                yield folder, work
            except INTERRUPTED:
                raise
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        full = storage_error(error, folder)
        if full is None:
            raise
        raise full from error


def known_version(
    home: Home,
    actor: Actor,
    name: str,
    prepared: "Prepared",
    links: list[Link],
    contract: Contract | None = None,
) -> DatasetVersion | None:
    """Return the version that has this content already, with the new lineage added."""
    with home.begin() as uow:
        known = store.version_by_hash(uow.conn, actor.scope, name, prepared.content)
        if known is not None:
            uow.link(actor.scope, (KIND, known.ref), [link for link in links if link.ref != known.ref])
            _record(uow, actor, contract, prepared, known.number)
        return known


def _record(
    uow: UnitOfWork, actor: Actor, contract: Contract | None, prepared: "Prepared", number: int
) -> None:
    if contract is not None and prepared.verdict is not None:
        record(uow, actor, contract, prepared.verdict, number=number, reason="ingest")


def refuse(home: Home, actor: Actor, contract: Contract, prepared: "Prepared") -> NoReturn:
    """Write down that rows did not meet the expectations, and raise Invalid: they are not registered."""
    assert prepared.verdict is not None
    with home.begin() as uow:
        _record(uow, actor, contract, prepared, 0)
    unmet = prepared.verdict.refused
    told = "; ".join(f"{label(one.check)}: {one.reason}" for one in unmet[:5])
    raise Invalid(
        f"{prepared.request.name} does not meet {len(unmet)} of {len(prepared.verdict.outcomes)} expectations"
        f" of {contract.dataset} ({told}). Nothing was registered.",
        hint="Repair the rows, or change the expectation or its action.",
        details={"unmet": msgspec.to_builtins(unmet)},
    )


def record(
    uow: UnitOfWork, actor: Actor, contract: Contract, verdict: Verdict, *, number: int, reason: str
) -> CheckRun:
    """Write down what became of the checks on version `number` (0: none), and tell others when they were not met."""
    run = CheckRun(
        id=ids.new_id("chk"),
        dataset=contract.dataset,
        number=number,
        revision=contract.revision,
        reason=reason,
        state=verdict.state,
        verdict=verdict,
        checked_at=clock.now(),
        checked_by=actor.name,
    )
    contracts.add_check(uow.conn, actor.scope, run)
    if run.state != "met":
        uow.publish(
            ExpectationsUnmet(dataset=run.dataset, number=number, state=run.state, check=run.id), actor.scope
        )
    return run


def register(
    home: Home,
    actor: Actor,
    name: str,
    prepared: "Prepared",
    table_version: int,
    *,
    links: list[Link],
    description: str,
    contract: Contract | None = None,
) -> DatasetVersion:
    """Write the record of rows that are in the table as `table_version`; only now the version exists."""
    request, source = prepared.request, prepared.source
    profile = prepared.profile()
    blob = home.blobs.put_file(prepared.left_out).sha256 if prepared.bad or prepared.removed else ""
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
            lineage=(*links, *_origin(source)),
            description=description,
            created_at=clock.now(),
            created_by=actor.name,
            table_version=table_version,
            left_out_blob=blob,
        )
        store.insert_version(uow.conn, actor.scope, version)
        _record(uow, actor, contract, prepared, version.number)
        uow.link(actor.scope, (KIND, version.ref), list(version.lineage))
        uow.audit(actor, "datasets.ingest", version.ref, rows=version.rows, hash=version.hash)
        uow.publish(
            VersionRegistered(dataset=name, number=version.number, hash=version.hash, rows=version.rows),
            actor.scope,
        )
    return version


def _origin(source: Source) -> list[Link]:
    if source.sha256:
        return [Link("file", f"sha256:{source.sha256}", "source")]
    return [Link(source.format, source.name[:MAX_REF], "source")] if source.detail else []


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
