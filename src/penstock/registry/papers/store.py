"""SQL of papers and of the keys that sign manifests."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Column, Connection, String, Table, Text, select

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.registry.model import ModelVersion, Papers
from penstock.registry.papers.model import SigningKey

papers = Table(
    "registry_papers",
    metadata,
    Column("version_id", String(40), primary_key=True),
    Column("licence", String(200), nullable=False),
    Column("intended_use", Text, nullable=False),
    Column("signature", Json),
    Column("scan", Json),
    Column("manifest", Json),
    Column("card", Text),
    Column("card_author", String(200), nullable=False),
    Column("card_at", UtcTime),
)
keys = Table(
    "registry_keys",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("key_id", String(64), primary_key=True),
    Column("public", String(64), nullable=False),
    Column("private", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)


def get_papers(conn: Connection, version: ModelVersion) -> Papers | None:
    """Return the version's papers; None for one that was made before there were any."""
    row = conn.execute(select(papers).where(papers.c.version_id == version.id)).first()
    if row is None:
        return None
    values: dict[str, Any] = dict(row._mapping)
    values.pop("version_id")
    return Papers(**values)


def put_papers(conn: Connection, version: ModelVersion, found: Papers) -> None:
    """Store the papers in place of those the version had."""
    row = {"version_id": version.id, **asdict(found)}
    upsert(conn, papers, [row], keys=["version_id"], update=[name for name in row if name != "version_id"])


def list_keys(conn: Connection, scope: Scope) -> list[SigningKey]:
    """Return the tenant's keys, newest first: the first one signs."""
    query = select(keys).where(keys.c.tenant == scope.tenant)
    rows = conn.execute(query.order_by(keys.c.created_at.desc(), keys.c.key_id))
    return [
        SigningKey(key_id=row.key_id, public=row.public, sealed=row.private, created_at=row.created_at)
        for row in rows
    ]


def insert_key(conn: Connection, scope: Scope, key: SigningKey) -> None:
    """Store a key; one that is there stays as it is."""
    row = {
        "tenant": scope.tenant,
        "key_id": key.key_id,
        "public": key.public,
        "private": key.sealed,
        "created_at": key.created_at,
    }
    upsert(conn, keys, [row], keys=["tenant", "key_id"])
