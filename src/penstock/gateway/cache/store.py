"""SQL of cache policies and kept answers."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    delete,
    func,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, is_sqlite, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.cache.model import CachePolicy, NamedPolicy

policies = Table(
    "gateway_cache_policies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("route", String(200), primary_key=True),
    Column("policy", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
entries = Table(
    "gateway_cache_entries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("route", String(300), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("bucket", LargeBinary(32)),
    Column("vector", LargeBinary),
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger, nullable=False),
    UniqueConstraint("digest"),
    Index("ix_gateway_cache_entries_expires_ms", "expires_ms"),
    Index("ix_gateway_cache_entries_used", "used_ms", "size"),
    Index("ix_gateway_cache_entries_scope", "tenant", "project", "route"),
    sqlite_autoincrement=True,
)
"""`body` is zstd; `id` grows with every write, so that processes see what is new; `size` is what a row takes."""
EVICT_STEP = 500


class Row(NamedTuple):
    """A kept answer on its way into the table."""

    digest: bytes
    scope: Scope
    route: str
    body: bytes
    bucket: bytes | None
    vector: bytes | None
    made_ms: int
    expires_ms: int


class Known(NamedTuple):
    """What every process holds of an answer in the table: not its body."""

    id: int
    digest: bytes
    bucket: bytes | None
    vector: bytes | None
    made_ms: int
    expires_ms: int


class Found(NamedTuple):
    """A kept answer."""

    body: bytes
    made_ms: int
    expires_ms: int


def _at(table: Table, scope: Scope) -> ColumnElement[bool]:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def put_policy(conn: Connection, scope: Scope, route: str, policy: CachePolicy, at: datetime) -> None:
    """Store a policy over any of the same route."""
    row = {
        "tenant": scope.tenant,
        "project": scope.project,
        "route": route,
        "policy": msgspec.to_builtins(policy),
        "updated_at": at,
    }
    upsert(conn, policies, [row], keys=["tenant", "project", "route"], update=["policy", "updated_at"])


def delete_policy(conn: Connection, scope: Scope, route: str) -> bool:
    """Delete the policy; returns whether there was one."""
    return conn.execute(delete(policies).where(_at(policies, scope), policies.c.route == route)).rowcount > 0


def list_policies(conn: Connection, scope: Scope) -> list[NamedPolicy]:
    """Return the project's policies by route."""
    rows = conn.execute(select(policies).where(_at(policies, scope)).order_by(policies.c.route))
    return [_named(row) for row in rows]


def _named(row: Any) -> NamedPolicy:
    policy = msgspec.convert(row.policy, CachePolicy)
    return NamedPolicy(route=row.route, policy=policy, updated_at=row.updated_at)


def all_policies(conn: Connection) -> dict[Scope, dict[str, CachePolicy]]:
    """Return the policies of every project, each under its scope."""
    found: dict[Scope, dict[str, CachePolicy]] = {}
    for row in conn.execute(select(policies)):
        found.setdefault(Scope(row.tenant, row.project), {})[row.route] = _named(row).policy
    return found


def write(conn: Connection, rows: Sequence[Row]) -> Sequence[Known]:
    """Store answers over any of the same digest; each gets a new id.

    Of two processes that store the same digest at the same moment, one does: either answer is as fresh. Returns what
    was stored under which ids, or nothing on PostgreSQL, where they are not known without asking.
    """
    latest = {row.digest: row for row in rows}
    if is_sqlite(conn):
        return _write_sqlite(conn, list(latest.values()))
    conn.execute(delete(entries).where(entries.c.digest.in_(latest)))
    values = [dict(zip(_WRITTEN, _values(row), strict=True)) for row in latest.values()]
    upsert(conn, entries, values, keys=["digest"])
    return ()


_WRITTEN = tuple(column.name for column in entries.c if column.name != "id")


def _values(row: Row) -> tuple[Any, ...]:
    """Return a row's values in the order of `_WRITTEN`."""
    size = len(row.body) + len(row.vector or b"") + 200
    where = (row.digest, row.scope.tenant, row.scope.project, row.route)
    return *where, row.body, size, row.bucket, row.vector, row.made_ms, row.expires_ms, row.made_ms


def _write_sqlite(conn: Connection, rows: Sequence[Row]) -> list[Known]:
    """Store answers with few statements: Python's driver lets other threads in, and waits for them, at every row."""
    stored: list[Known] = []
    start = 0
    while start < len(rows):
        count = next(size for size in _AT_ONCE if size <= len(rows) - start)
        some = rows[start : start + count]
        start += count
        gone, insert = _statements(count)
        conn.exec_driver_sql(gone, tuple(row.digest for row in some))
        last = conn.exec_driver_sql(insert, tuple(value for row in some for value in _values(row))).lastrowid
        stored += [
            Known(last - count + place, row.digest, row.bucket, row.vector, row.made_ms, row.expires_ms)
            for place, row in enumerate(some, 1)
        ]
    return stored


_AT_ONCE = (200, 20, 1)
"""Rows of a statement: few sizes, so that the driver keeps them prepared."""


@cache
def _statements(count: int) -> tuple[str, str]:
    marks = ", ".join("?" * count)
    values = ", ".join(["(" + ", ".join("?" * len(_WRITTEN)) + ")"] * count)
    into = f"{entries.name} ({', '.join(_WRITTEN)})"
    return f"DELETE FROM {entries.name} WHERE digest IN ({marks})", f"INSERT INTO {into} VALUES {values}"


def find(conn: Connection, scope: Scope, digest: bytes) -> Found | None:
    """Return the answer of that digest."""
    query = select(entries.c.body, entries.c.made_ms, entries.c.expires_ms)
    row = conn.execute(query.where(_at(entries, scope), entries.c.digest == digest)).first()
    return None if row is None else Found(bytes(row.body), row.made_ms, row.expires_ms)


def known_after(conn: Connection, last: int, limit: int) -> list[Known]:
    """Return what was written after the row `last`, of every project, oldest first."""
    columns = [entries.c[name] for name in Known._fields]
    query = select(*columns).where(entries.c.id > last).order_by(entries.c.id).limit(limit)
    return [Known(*row) for row in conn.execute(query)]


def touch(conn: Connection, digests: Sequence[bytes], at_ms: int) -> None:
    """Note that answers were used."""
    for start in range(0, len(digests), EVICT_STEP):
        some = digests[start : start + EVICT_STEP]
        conn.execute(update(entries).where(entries.c.digest.in_(some)).values(used_ms=at_ms))


def evict(conn: Connection, now_ms: int, limit_bytes: int) -> int:
    """Delete what has expired, then the least recently used down to nine tenths of the limit; returns how many."""
    gone = conn.execute(delete(entries).where(entries.c.expires_ms <= now_ms)).rowcount
    size = int(conn.execute(select(func.coalesce(func.sum(entries.c.size), 0))).scalar_one())
    if size <= limit_bytes:
        return gone
    target = limit_bytes * 9 // 10
    while size > target:
        oldest = (
            select(entries.c.id, entries.c.size)
            .order_by(entries.c.used_ms, entries.c.size, entries.c.id)
            .limit(EVICT_STEP)
        )
        picked: list[int] = []
        for row in conn.execute(oldest):
            if size <= target:
                break
            picked.append(row.id)
            size -= row.size
        if not picked:
            break
        gone += conn.execute(delete(entries).where(entries.c.id.in_(picked))).rowcount
    return gone


def purge(conn: Connection, scope: Scope, route: str | None) -> int:
    """Delete the project's answers, or those of one route; returns how many."""
    query = delete(entries).where(_at(entries, scope))
    return conn.execute(query if route is None else query.where(entries.c.route == route)).rowcount


def totals(conn: Connection, scope: Scope) -> tuple[int, int]:
    """Return how many answers the project has in the table, and the bytes they take."""
    query = select(func.count(), func.coalesce(func.sum(entries.c.size), 0)).where(_at(entries, scope))
    count, size = conn.execute(query).one()
    return int(count), int(size)
