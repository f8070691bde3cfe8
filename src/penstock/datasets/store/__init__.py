"""SQL of datasets and their versions; the rows themselves are in Delta tables (see table.py)."""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.datasets.model import Dataset, DatasetVersion

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "name"),
)
versions = Table(
    "datasets_versions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("dataset", String(100), nullable=False),
    Column("number", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("splits", Json, nullable=False),
    Column("schema", Json, nullable=False),
    Column("profile", Json, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("removed", BigInteger, nullable=False),
    Column("recipe", Json),
    Column("recipe_report", Json, nullable=False),
    Column("source", Json, nullable=False),
    Column("key", String(200)),
    Column("split_plan", Json),
    Column("lineage", Json, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("table_version", BigInteger, nullable=False),
    Column("left_out_blob", String(64), nullable=False),
    UniqueConstraint("tenant", "project", "dataset", "number"),
    UniqueConstraint("tenant", "project", "dataset", "hash"),
)


def insert_dataset(conn: Connection, scope: Scope, dataset: Dataset) -> bool:
    """Add a dataset; False when the name is taken."""
    row = {
        "id": dataset.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "name": dataset.name,
        "description": dataset.description,
        "created_at": dataset.created_at,
    }
    return upsert(conn, datasets, [row], keys=["tenant", "project", "name"]) == 1


def _newest() -> Any:
    newest = versions.alias("newest")
    return select(datasets, newest.c.number, newest.c.rows).select_from(
        datasets.outerjoin(
            newest,
            (newest.c.tenant == datasets.c.tenant)
            & (newest.c.project == datasets.c.project)
            & (newest.c.dataset == datasets.c.name)
            & (
                newest.c.number
                == select(func.max(versions.c.number))
                .where(
                    versions.c.tenant == datasets.c.tenant,
                    versions.c.project == datasets.c.project,
                    versions.c.dataset == datasets.c.name,
                )
                .correlate(datasets)
                .scalar_subquery()
            ),
        )
    )


def _dataset(row: Any) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
        latest=row.number or 0,
        rows=row.rows or 0,
    )


def get_dataset(conn: Connection, scope: Scope, name: str) -> Dataset | None:
    """Return the dataset, or None."""
    query = _newest().where(
        datasets.c.tenant == scope.tenant, datasets.c.project == scope.project, datasets.c.name == name
    )
    row = conn.execute(query).first()
    return None if row is None else _dataset(row)


def list_datasets(
    conn: Connection, scope: Scope, *, search: str = "", after: str = "", limit: int = 100
) -> list[Dataset]:
    """Return datasets by name, after the name `after`, whose name or description holds `search`."""
    query = _newest().where(
        datasets.c.tenant == scope.tenant, datasets.c.project == scope.project, datasets.c.name > after
    )
    if search:
        query = query.where(
            datasets.c.name.icontains(search, autoescape=True)
            | datasets.c.description.icontains(search, autoescape=True)
        )
    return [_dataset(row) for row in conn.execute(query.order_by(datasets.c.name).limit(limit))]


def insert_version(conn: Connection, scope: Scope, version: DatasetVersion) -> None:
    """Add a version."""
    plain = {name: getattr(version, name) for name in version.__dataclass_fields__}
    for name in ("splits", "schema", "profile", "recipe_report", "source", "lineage"):
        plain[name] = msgspec.to_builtins(plain[name])
    conn.execute(versions.insert().values(tenant=scope.tenant, project=scope.project, **plain))


def _version(row: Any) -> DatasetVersion:
    plain = {name: getattr(row, name) for name in DatasetVersion.__dataclass_fields__}
    return msgspec.convert(plain, DatasetVersion)


def _versions(scope: Scope) -> Any:
    return select(versions).where(versions.c.tenant == scope.tenant, versions.c.project == scope.project)


def get_version(conn: Connection, scope: Scope, name: str, number: int | None) -> DatasetVersion | None:
    """Return the version by number (None: the newest), or None."""
    query = _versions(scope).where(versions.c.dataset == name)
    if number is not None:
        query = query.where(versions.c.number == number)
    row = conn.execute(query.order_by(versions.c.number.desc()).limit(1)).first()
    return None if row is None else _version(row)


def version_by_id(conn: Connection, scope: Scope, version_id: str) -> DatasetVersion | None:
    """Return the version by id, or None."""
    row = conn.execute(_versions(scope).where(versions.c.id == version_id)).first()
    return None if row is None else _version(row)


def version_by_hash(conn: Connection, scope: Scope, name: str, content: str) -> DatasetVersion | None:
    """Return the dataset's version with this content, or None."""
    row = conn.execute(_versions(scope).where(versions.c.dataset == name, versions.c.hash == content)).first()
    return None if row is None else _version(row)


def list_versions(
    conn: Connection, scope: Scope, name: str, *, before: int | None = None, limit: int = 50
) -> list[DatasetVersion]:
    """Return versions, newest first, with numbers below `before`."""
    query = _versions(scope).where(versions.c.dataset == name)
    if before is not None:
        query = query.where(versions.c.number < before)
    return [_version(row) for row in conn.execute(query.order_by(versions.c.number.desc()).limit(limit))]


def blobs_named(conn: Connection) -> Iterator[str]:
    """Yield the blob of every version's left out rows of every scope; empty where there are none."""
    yield from conn.execute(select(versions.c.left_out_blob), execution_options={"yield_per": 1000}).scalars()
