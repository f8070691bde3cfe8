"""The audit log: who did what to what, hash-chained so that a change or a gap can be seen.

Each entry's hash is SHA-256 over the previous entry's hash and the entry's canonical JSON, so editing
or removing one breaks every hash after it (the construction of RFC 9162's log, without the tree).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Index, String, Table, func, select, text

from penstock.core import clock
from penstock.core.db import Json, UtcTime, is_sqlite, metadata
from penstock.core.scope import Actor, Scope

GENESIS = "0" * 64

entries = Table(
    "core_audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor_name", String(200), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(300), nullable=False),
    Column("detail", Json, nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_core_audit_scope", "tenant", "project", "number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One recorded act."""

    number: int
    at: datetime
    actor_id: str
    actor_name: str
    action: str
    target: str
    detail: dict[str, Any]
    hash: str


def _digest(previous: str, row: dict[str, Any]) -> str:
    body = msgspec.json.encode(
        {
            key: clock.iso(value) if isinstance(value, datetime) else value
            for key, value in sorted(row.items())
        },
        order="deterministic",
    )
    return hashlib.sha256(previous.encode() + body).hexdigest()


def record(conn: Connection, actor: Actor, action: str, target: str, detail: dict[str, Any]) -> None:
    """Append one entry in the caller's transaction; `detail` must be JSON and hold no secrets."""
    if not is_sqlite(conn):
        # Two PostgreSQL writers must not chain onto the same entry; SQLite has one writer anyway.
        conn.execute(text("SELECT pg_advisory_xact_lock(7305802)"))
    last = conn.execute(
        select(entries.c.number, entries.c.hash).order_by(entries.c.number.desc()).limit(1)
    ).first()
    row = {
        "number": (last.number if last else 0) + 1,
        "at": clock.now(),
        "tenant": actor.scope.tenant,
        "project": actor.scope.project,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "action": action,
        "target": target,
        "detail": detail,
    }
    conn.execute(entries.insert().values(**row, hash=_digest(last.hash if last else GENESIS, row)))


def verify(conn: Connection) -> int | None:
    """Return the number of the first entry whose hash does not hold, or None when the chain is whole."""
    previous, expected = GENESIS, 1
    for row in conn.execute(select(entries).order_by(entries.c.number)):
        values = {
            column.name: getattr(row, column.name) for column in entries.columns if column.name != "hash"
        }
        if row.number != expected or _digest(previous, values) != row.hash:
            return int(row.number)
        previous, expected = row.hash, expected + 1
    return None


def page(conn: Connection, scope: Scope, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
    """Return the project's entries, newest first, with numbers below `before`."""
    query = select(entries).where(entries.c.tenant == scope.tenant, entries.c.project == scope.project)
    if before is not None:
        query = query.where(entries.c.number < before)
    return [
        AuditEntry(
            number=row.number,
            at=row.at,
            actor_id=row.actor_id,
            actor_name=row.actor_name,
            action=row.action,
            target=row.target,
            detail=row.detail,
            hash=row.hash,
        )
        for row in conn.execute(query.order_by(entries.c.number.desc()).limit(limit))
    ]


def count(conn: Connection) -> int:
    """Return the number of entries of all projects."""
    return int(conn.execute(select(func.count()).select_from(entries)).scalar() or 0)
