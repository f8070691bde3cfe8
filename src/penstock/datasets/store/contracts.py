"""SQL of expectations, of what became of them, and of tags."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Float, Index, Integer, String, Table, delete, func, select

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.datasets.expectations import Expectations, Verdict

expectations = Table(
    "datasets_expectations",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("dataset", String(100), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("expectations", Json, nullable=False),
    Column("every_hours", Float, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
)
checks = Table(
    "datasets_checks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("dataset", String(100), nullable=False),
    Column("number", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("verdict", Json, nullable=False),
    Column("checked_at", UtcTime, nullable=False),
    Column("checked_by", String(200), nullable=False),
    Index("ix_datasets_checks_dataset", "tenant", "project", "dataset", "number", "checked_at"),
)
tags = Table(
    "datasets_tags",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("dataset", String(100), primary_key=True),
    Column("tag", String(64), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("changed_by", String(200), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A revision of what a dataset's rows have to meet."""

    dataset: str
    revision: int
    expectations: Expectations
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """What became of a contract's checks at some moment."""

    id: str
    dataset: str
    number: int
    """The version; 0 for rows that were refused and became none."""
    revision: int
    """Of the contract."""
    reason: str
    """`ingest`, `demand` or `schedule`."""
    state: str
    """`met`, `warned`, `quarantined` or `failed`."""
    verdict: Verdict
    checked_at: datetime
    checked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A name for a version, which may be moved to another one."""

    dataset: str
    tag: str
    number: int
    changed_at: datetime
    changed_by: str


def _of(table: Table, scope: Scope, dataset: str) -> tuple[Any, ...]:
    return table.c.tenant == scope.tenant, table.c.project == scope.project, table.c.dataset == dataset


def put_contract(conn: Connection, scope: Scope, contract: Contract) -> None:
    """Add a revision."""
    conn.execute(
        expectations.insert().values(
            tenant=scope.tenant,
            project=scope.project,
            dataset=contract.dataset,
            revision=contract.revision,
            expectations=msgspec.to_builtins(contract.expectations),
            every_hours=contract.expectations.every_hours,
            created_at=contract.created_at,
            created_by=contract.created_by,
        )
    )


def contracts(conn: Connection, scope: Scope, dataset: str, *, limit: int = 1) -> list[Contract]:
    """Return the newest revisions, newest first."""
    query = select(expectations).where(*_of(expectations, scope, dataset))
    found = conn.execute(query.order_by(expectations.c.revision.desc()).limit(limit))
    return [
        Contract(
            dataset=row.dataset,
            revision=row.revision,
            expectations=msgspec.convert(row.expectations, Expectations),
            created_at=row.created_at,
            created_by=row.created_by,
        )
        for row in found
    ]


def scheduled(conn: Connection) -> list[tuple[Scope, str, float]]:
    """Return (scope, dataset, hours) of the newest contracts that are checked again regularly, of every scope."""
    newest = (
        select(
            expectations.c.tenant,
            expectations.c.project,
            expectations.c.dataset,
            func.max(expectations.c.revision).label("revision"),
        )
        .group_by(expectations.c.tenant, expectations.c.project, expectations.c.dataset)
        .subquery()
    )
    query = select(expectations).join(
        newest,
        (newest.c.tenant == expectations.c.tenant)
        & (newest.c.project == expectations.c.project)
        & (newest.c.dataset == expectations.c.dataset)
        & (newest.c.revision == expectations.c.revision),
    )
    found = conn.execute(query.where(expectations.c.every_hours > 0).order_by(expectations.c.dataset))
    return [(Scope(row.tenant, row.project), row.dataset, row.every_hours) for row in found]


def add_check(conn: Connection, scope: Scope, run: CheckRun) -> None:
    """Add what became of the checks."""
    plain = {name: getattr(run, name) for name in run.__dataclass_fields__}
    plain["verdict"] = msgspec.to_builtins(run.verdict)
    conn.execute(checks.insert().values(tenant=scope.tenant, project=scope.project, **plain))


def list_checks(
    conn: Connection, scope: Scope, dataset: str, *, number: int | None = None, limit: int = 20
) -> list[CheckRun]:
    """Return what became of the checks of one version or of all, newest first."""
    query = select(checks).where(*_of(checks, scope, dataset))
    if number is not None:
        query = query.where(checks.c.number == number)
    found = conn.execute(query.order_by(checks.c.checked_at.desc(), checks.c.id.desc()).limit(limit))
    return [
        CheckRun(
            **{name: getattr(row, name) for name in CheckRun.__dataclass_fields__ if name != "verdict"},
            verdict=msgspec.convert(row.verdict, Verdict),
        )
        for row in found
    ]


def put_tag(conn: Connection, scope: Scope, tag: Tag) -> None:
    """Set a tag, wherever it was before."""
    row = {name: getattr(tag, name) for name in tag.__dataclass_fields__}
    row |= {"tenant": scope.tenant, "project": scope.project}
    keys = ["tenant", "project", "dataset", "tag"]
    upsert(conn, tags, [row], keys=keys, update=["number", "changed_at", "changed_by"])


def drop_tag(conn: Connection, scope: Scope, dataset: str, tag: str) -> bool:
    """Remove a tag; False when there is none."""
    return conn.execute(delete(tags).where(*_of(tags, scope, dataset), tags.c.tag == tag)).rowcount == 1


def list_tags(conn: Connection, scope: Scope, dataset: str) -> list[Tag]:
    """Return the dataset's tags by name."""
    found = conn.execute(select(tags).where(*_of(tags, scope, dataset)).order_by(tags.c.tag))
    return [Tag(**{name: getattr(row, name) for name in Tag.__dataclass_fields__}) for row in found]
