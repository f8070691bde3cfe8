"""SQL of stored suites."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, String, Table, delete, select

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.evals.suites.model import StoredSuite

suites = Table(
    "evals_suites",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("spec", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)


def _in(scope: Scope) -> ColumnElement[bool]:
    return (suites.c.tenant == scope.tenant) & (suites.c.project == scope.project)


def _suite(row: Any) -> StoredSuite:
    return StoredSuite(name=row.name, spec=row.spec, updated_at=row.updated_at, updated_by=row.updated_by)


def put(conn: Connection, scope: Scope, suite: StoredSuite) -> None:
    """Store a suite in place of any earlier one of its name."""
    row = {
        "tenant": scope.tenant,
        "project": scope.project,
        "name": suite.name,
        "spec": suite.spec,
        "updated_at": suite.updated_at,
        "updated_by": suite.updated_by,
    }
    upsert(
        conn,
        suites,
        [row],
        keys=["tenant", "project", "name"],
        update=["spec", "updated_at", "updated_by"],
    )


def by_name(conn: Connection, scope: Scope, name: str) -> StoredSuite | None:
    """Return the suite, or None."""
    row = conn.execute(select(suites).where(_in(scope), suites.c.name == name)).one_or_none()
    return None if row is None else _suite(row)


def page(conn: Connection, scope: Scope, *, after: str, limit: int) -> list[StoredSuite]:
    """Return suites by name, from names behind `after`."""
    query = select(suites).where(_in(scope), suites.c.name > after).order_by(suites.c.name).limit(limit)
    return [_suite(row) for row in conn.execute(query)]


def remove(conn: Connection, scope: Scope, name: str) -> bool:
    """Delete the suite; returns whether there was one."""
    return conn.execute(delete(suites).where(_in(scope), suites.c.name == name)).rowcount > 0
