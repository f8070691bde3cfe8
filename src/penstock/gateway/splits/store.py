"""SQL of splits and of what became of their calls."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Index, String, Table, delete, select

from penstock.core import ids
from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.model import ArmOutcome, Split

splits = Table(
    "gateway_splits",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("subject", String(300), primary_key=True),
    Column("release_id", String(40), nullable=False),
    Column("split", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
outcomes = Table(
    "gateway_arm_outcomes",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("release_id", String(40), nullable=False),
    Column("items", Json, nullable=False),
    Index("ix_gateway_arm_outcomes_release", "tenant", "project", "release_id", "id"),
)
"""A queue: web processes add rows of many calls each, the release that they belong to takes them away."""

_OWN = ["tenant", "project", "subject"]


def _at(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def put(conn: Connection, scope: Scope, split: Split, at: datetime) -> None:
    """Store the split over any of the same subject."""
    row = {
        "tenant": scope.tenant,
        "project": scope.project,
        "subject": split.subject,
        "release_id": split.release,
        "split": msgspec.to_builtins(split),
        "updated_at": at,
    }
    upsert(conn, splits, [row], keys=_OWN, update=["release_id", "split", "updated_at"])


def get(conn: Connection, scope: Scope, subject: str) -> Split | None:
    """Return the split of that subject."""
    found = conn.execute(select(splits.c.split).where(_at(splits, scope), splits.c.subject == subject))
    raw = found.scalar()
    return None if raw is None else msgspec.convert(raw, Split)


def remove(conn: Connection, scope: Scope, release: str) -> bool:
    """Delete the split of a release; returns whether there was one."""
    return conn.execute(delete(splits).where(_at(splits, scope), splits.c.release_id == release)).rowcount > 0


def every(conn: Connection) -> list[tuple[Scope, Split]]:
    """Return the splits of every scope."""
    return [
        (Scope(row.tenant, row.project), msgspec.convert(row.split, Split))
        for row in conn.execute(select(splits))
    ]


def add_outcomes(conn: Connection, scope: Scope, release: str, items: Sequence[ArmOutcome]) -> None:
    """Add what became of some calls."""
    row = {
        "id": ids.new_id("out"),
        "tenant": scope.tenant,
        "project": scope.project,
        "release_id": release,
        "items": msgspec.to_builtins(list(items)),
    }
    conn.execute(outcomes.insert().values(row))


def take_outcomes(conn: Connection, scope: Scope, release: str, rows: int) -> list[ArmOutcome]:
    """Return and delete the oldest `rows` rows of a release, in the caller's transaction."""
    at = (_at(outcomes, scope), outcomes.c.release_id == release)
    query = select(outcomes.c.id, outcomes.c["items"]).where(*at).order_by(outcomes.c.id).limit(rows)
    found = list(conn.execute(query))
    if found:
        conn.execute(delete(outcomes).where(outcomes.c.id.in_([row[0] for row in found])))
    return [item for row in found for item in msgspec.convert(row[1], list[ArmOutcome])]


def forget_outcomes(conn: Connection, keep: Collection[str]) -> int:
    """Delete, in every scope, what belongs to no release of `keep`; returns how many rows went."""
    return conn.execute(delete(outcomes).where(outcomes.c.release_id.not_in(list(keep)))).rowcount
