"""SQL of guardrails: policies, their versions, and the tenants' keys."""

from typing import Any

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    Text,
    and_,
    insert,
    select,
    update,
)

from penstock.core.db import UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.guardrails.model import Policy, Rules

policies = Table(
    "guardrails_policies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("removed", Boolean, nullable=False),
)
"""The version of each policy that is in force; a removed one keeps its row, so that its numbers go on."""
versions = Table(
    "guardrails_versions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rules", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""Never changed. `rules` is JSON as text: the order of options counts, and JSONB would lose it."""
keys = Table(
    "guardrails_keys",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("sealed", Text, nullable=False),
)


def _at(table: Table, scope: Scope) -> ColumnElement[bool]:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def _policy(row: Any) -> Policy:
    return Policy(
        name=row.name,
        number=row.number,
        rules=msgspec.json.decode(row.rules, type=Rules),
        author=row.author,
        created_at=row.created_at,
    )


def _current() -> Select[Any]:
    same = [versions.c[name] == policies.c[name] for name in ("tenant", "project", "name", "number")]
    joined = versions.join(policies, and_(*same))
    return select(versions).select_from(joined).where(~policies.c.removed).order_by(versions.c.name)


def next_number(conn: Connection, scope: Scope, name: str) -> int:
    """Take the number of the policy's next version, which is in force from now on; writers wait for each other."""
    row = {"tenant": scope.tenant, "project": scope.project, "name": name, "number": 0, "removed": True}
    upsert(conn, policies, [row], keys=["tenant", "project", "name"])
    more = update(policies).where(_at(policies, scope), policies.c.name == name)
    more = more.values(number=policies.c.number + 1, removed=False)
    return int(conn.execute(more.returning(policies.c.number)).scalar_one())


def add(conn: Connection, scope: Scope, policy: Policy) -> None:
    """Store a version."""
    values = {
        "tenant": scope.tenant,
        "project": scope.project,
        "name": policy.name,
        "number": policy.number,
        "rules": msgspec.json.encode(policy.rules).decode(),
        "author": policy.author,
        "created_at": policy.created_at,
    }
    conn.execute(insert(versions).values(**values))


def remove(conn: Connection, scope: Scope, name: str) -> bool:
    """Take a policy out of force; returns whether it was in force."""
    where = (_at(policies, scope), policies.c.name == name, ~policies.c.removed)
    return conn.execute(update(policies).where(*where).values(removed=True)).rowcount > 0


def current(conn: Connection, scope: Scope) -> list[Policy]:
    """Return the project's policies in force, by name."""
    return [_policy(row) for row in conn.execute(_current().where(_at(versions, scope)))]


def history(conn: Connection, scope: Scope, name: str) -> list[Policy]:
    """Return all versions of a policy, newest first."""
    query = select(versions).where(_at(versions, scope), versions.c.name == name)
    return [_policy(row) for row in conn.execute(query.order_by(versions.c.number.desc()))]


def everything(conn: Connection) -> tuple[dict[Scope, list[Policy]], dict[str, str]]:
    """Return the policies in force of every scope, and the sealed key of every tenant."""
    found: dict[Scope, list[Policy]] = {}
    for row in conn.execute(_current()):
        found.setdefault(Scope(row.tenant, row.project), []).append(_policy(row))
    return found, {row.tenant: row.sealed for row in conn.execute(select(keys))}


def sealed_key(conn: Connection, scope: Scope) -> str | None:
    """Return the sealed key of the tenant."""
    return conn.execute(select(keys.c.sealed).where(keys.c.tenant == scope.tenant)).scalar_one_or_none()


def put_key(conn: Connection, scope: Scope, sealed: str) -> None:
    """Store the tenant's sealed key unless it has one."""
    upsert(conn, keys, [{"tenant": scope.tenant, "sealed": sealed}], keys=["tenant"], update=[])
