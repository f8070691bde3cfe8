"""SQL of claims and quotas."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, String, Table, delete, select, update

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.training.share.model import Claim, TrainingQuota

claims = Table(
    "training_claims",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("processes", Integer, nullable=False, server_default="1"),
    Column("gpus", Integer),
    Column("held", Json),
    Column("since", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)
quotas = Table(
    "training_quotas",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("runs", Integer),
)


def put_claim(conn: Connection, claim: Claim, seen_at: datetime) -> None:
    """Store a claim, or that its run still stands by it: the time it dates from and the GPUs it was given stay."""
    row = {
        "run_id": claim.run_id,
        "tenant": claim.scope.tenant,
        "project": claim.scope.project,
        "priority": claim.priority,
        "memory_bytes": claim.memory_bytes,
        "processes": claim.processes,
        "gpus": claim.gpus,
        "since": claim.since,
        "seen_at": seen_at,
    }
    upsert(
        conn,
        claims,
        [row],
        keys=["run_id"],
        update=["priority", "memory_bytes", "processes", "gpus", "seen_at"],
    )


def stand_by(conn: Connection, claim: Claim, seen_at: datetime) -> None:
    """Store that somebody still stands by a claim, if it is there."""
    conn.execute(update(claims).where(claims.c.run_id == claim.run_id).values(seen_at=seen_at))


def set_held(conn: Connection, claim: Claim, gpus: tuple[int, ...] | None) -> None:
    """Store which GPUs the claim's run was given."""
    conn.execute(update(claims).where(claims.c.run_id == claim.run_id).values(held=gpus))


def held_by(conn: Connection, claim: Claim) -> tuple[int, ...] | None:
    """Return which GPUs the claim's run was given."""
    held = conn.execute(select(claims.c.held).where(claims.c.run_id == claim.run_id)).scalar()
    return None if held is None else tuple(held)


def drop_claim(conn: Connection, scope: Scope, run_id: str) -> None:
    """Forget a run's claim."""
    mine = (claims.c.tenant == scope.tenant) & (claims.c.project == scope.project)
    conn.execute(delete(claims).where(mine, claims.c.run_id == run_id))


def list_claims(conn: Connection, since: datetime) -> list[Claim]:
    """Return every scope's claims that somebody stood by since then."""
    rows = conn.execute(select(claims).where(claims.c.seen_at >= since).order_by(claims.c.run_id))
    return [
        Claim(
            run_id=row.run_id,
            scope=Scope(row.tenant, row.project),
            priority=row.priority,
            memory_bytes=row.memory_bytes,
            since=row.since,
            processes=row.processes,
            gpus=row.gpus,
            held=None if row.held is None else tuple(row.held),
        )
        for row in rows
    ]


def _mine(scope: Scope) -> Any:
    return (quotas.c.tenant == scope.tenant) & (quotas.c.project == scope.project)


def get_quota(conn: Connection, scope: Scope) -> TrainingQuota:
    """Return a project's quota; without one nothing is limited."""
    row = conn.execute(select(quotas).where(_mine(scope))).first()
    return TrainingQuota() if row is None else TrainingQuota(runs=row.runs)


def list_quotas(conn: Connection) -> dict[Scope, TrainingQuota]:
    """Return the quotas of every scope that has one."""
    rows = conn.execute(select(quotas))
    return {Scope(row.tenant, row.project): TrainingQuota(runs=row.runs) for row in rows}


def put_quota(conn: Connection, scope: Scope, quota: TrainingQuota) -> None:
    """Store a project's quota."""
    row = {"tenant": scope.tenant, "project": scope.project, "runs": quota.runs}
    upsert(conn, quotas, [row], keys=["tenant", "project"], update=["runs"])
