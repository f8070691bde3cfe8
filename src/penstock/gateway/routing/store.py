"""SQL of the targets' health: one row per web process and project, overwritten every few seconds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, String, Table, delete, select

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.routing.health import TargetHealth

health = Table(
    "gateway_health",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("targets", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)


def put_health(
    conn: Connection, worker: str, found: Mapping[Scope, Sequence[TargetHealth]], at: datetime
) -> None:
    """Store what `worker` knows of each project's targets, over what it said before."""
    rows: list[dict[str, Any]] = [
        {
            "worker": worker,
            "tenant": scope.tenant,
            "project": scope.project,
            "targets": msgspec.to_builtins(list(targets)),
            "updated_at": at,
        }
        for scope, targets in found.items()
    ]
    if rows:
        upsert(conn, health, rows, keys=["worker", "tenant", "project"], update=["targets", "updated_at"])


def list_health(conn: Connection, scope: Scope, since: datetime) -> list[TargetHealth]:
    """Return what every web process said since then of the project's targets."""
    query = select(health.c.targets).where(
        health.c.tenant == scope.tenant, health.c.project == scope.project, health.c.updated_at >= since
    )
    return [msgspec.convert(target, TargetHealth) for row in conn.execute(query) for target in row.targets]


def forget_health(conn: Connection, worker: str, before: datetime) -> None:
    """Delete what `worker` said of every scope, and what anybody said before that moment."""
    conn.execute(delete(health).where((health.c.worker == worker) | (health.c.updated_at < before)))
