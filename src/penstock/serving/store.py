"""SQL of deployments, their versions, history and replicas."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.serving.model import (
    Deployment,
    DeploymentVersion,
    HistoryEntry,
    Policy,
    Quota,
    Replica,
    ReplicaState,
    Usage,
)

deployments = Table(
    "serving_deployments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("production", Integer, nullable=False),
    Column("candidate", Integer),
    Column("weight", Float, nullable=False),
    Column("previous", Integer),
    Column("previous_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),
    Column("policy", Json),
    UniqueConstraint("tenant", "project", "name"),
)
versions = Table(
    "serving_versions",
    metadata,
    Column("deployment_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("model", String(120), nullable=False),
    Column("engine", String(64), nullable=False),
    Column("replicas", Integer, nullable=False),
    Column("options", Json, nullable=False),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("memory_bytes", BigInteger),
    Column("gpus", Integer),
)
history = Table(
    "serving_history",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("deployment_id", String(40), nullable=False),
    Column("action", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("detail", Json, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_serving_history_deployment", "deployment_id", "id"),
)
replicas = Table(
    "serving_replicas",
    metadata,
    Column("deployment_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("url", String(200), nullable=False),
    Column("pid", Integer),
    Column("restarts", Integer, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("gpus", Json),
    Column("adapters", Json),
    Column("usage", Json),
    Column("keeper", String(200)),
)
quotas = Table(
    "serving_quotas",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("replicas", Integer),
    Column("memory_bytes", BigInteger),
    Column("gpus", Integer),
)


def _mine(scope: Scope) -> Any:
    return (deployments.c.tenant == scope.tenant) & (deployments.c.project == scope.project)


def _deployment(row: Any) -> Deployment:
    return Deployment(
        id=row.id,
        name=row.name,
        production=row.production,
        candidate=row.candidate,
        weight=row.weight,
        previous=row.previous,
        previous_until=row.previous_until,
        created_at=row.created_at,
        updated_at=row.updated_at,
        policy=msgspec.convert(row.policy or {}, Policy),
    )


def save(
    conn: Connection, scope: Scope, deployment: Deployment, *, removed_at: datetime | None = None
) -> None:
    """Store the deployment over any of the same name; `removed_at` hides it."""
    row = {
        "id": deployment.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "name": deployment.name,
        "production": deployment.production,
        "candidate": deployment.candidate,
        "weight": deployment.weight,
        "previous": deployment.previous,
        "previous_until": deployment.previous_until,
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
        "removed_at": removed_at,
        "policy": msgspec.to_builtins(deployment.policy),
    }
    changed = ["production", "candidate", "weight", "previous", "previous_until", "updated_at", "removed_at"]
    changed.append("policy")
    upsert(conn, deployments, [row], keys=["tenant", "project", "name"], update=changed)


def get(conn: Connection, scope: Scope, name: str, *, removed: bool = False) -> Deployment | None:
    """Return the deployment of that name; one that was removed only when asked."""
    query = select(deployments).where(_mine(scope), deployments.c.name == name)
    if not removed:
        query = query.where(deployments.c.removed_at.is_(None))
    row = conn.execute(query).first()
    return None if row is None else _deployment(row)


def list_deployments(conn: Connection, scope: Scope, *, after: str, limit: int) -> list[Deployment]:
    """Return deployments by name, those after the name `after`."""
    query = select(deployments).where(
        _mine(scope), deployments.c.removed_at.is_(None), deployments.c.name > after
    )
    return [_deployment(row) for row in conn.execute(query.order_by(deployments.c.name).limit(limit))]


def last_number(conn: Connection, deployment_id: str) -> int:
    """Return the highest version number of a deployment; 0 when it has none."""
    query = select(func.max(versions.c.number)).where(versions.c.deployment_id == deployment_id)
    return int(conn.execute(query).scalar() or 0)


def insert_version(conn: Connection, deployment_id: str, version: DeploymentVersion) -> bool:
    """Store a version; returns False when another writer took its number."""
    row = {"deployment_id": deployment_id, **{name: getattr(version, name) for name in version.__slots__}}
    return upsert(conn, versions, [row], keys=["deployment_id", "number"]) > 0


def set_replicas(conn: Connection, deployment: Deployment, number: int, replicas: int) -> None:
    """Change how many replicas a version has."""
    mine = (versions.c.deployment_id == deployment.id) & (versions.c.number == number)
    conn.execute(update(versions).where(mine).values(replicas=replicas))


def _version(row: Any) -> DeploymentVersion:
    return DeploymentVersion(
        number=row.number,
        model=row.model,
        engine=row.engine,
        replicas=row.replicas,
        options=row.options,
        memory_bytes=row.memory_bytes,
        gpus=row.gpus or 0,
        author=row.author,
        created_at=row.created_at,
    )


def list_versions(conn: Connection, deployment_ids: Sequence[str]) -> dict[str, list[DeploymentVersion]]:
    """Return deployment id → its versions, newest first."""
    found: dict[str, list[DeploymentVersion]] = {each: [] for each in deployment_ids}
    query = select(versions).where(versions.c.deployment_id.in_(list(deployment_ids)))
    for row in conn.execute(query.order_by(versions.c.number.desc())):
        found[row.deployment_id].append(_version(row))
    return found


def add_history(conn: Connection, deployment_id: str, entry: HistoryEntry, entry_id: str) -> None:
    """Remember what was done."""
    row = {name: getattr(entry, name) for name in entry.__slots__}
    conn.execute(history.insert().values(id=entry_id, deployment_id=deployment_id, **row))


def list_history(conn: Connection, deployment_id: str, limit: int) -> list[HistoryEntry]:
    """Return what was done, newest first."""
    query = select(history).where(history.c.deployment_id == deployment_id)
    return [
        HistoryEntry(action=row.action, number=row.number, detail=row.detail, actor=row.actor, at=row.at)
        for row in conn.execute(query.order_by(history.c.id.desc()).limit(limit))
    ]


def list_replicas(conn: Connection, deployment_ids: Sequence[str]) -> dict[str, list[Replica]]:
    """Return deployment id → its replicas by version and position."""
    found: dict[str, list[Replica]] = {each: [] for each in deployment_ids}
    query = select(replicas).where(replicas.c.deployment_id.in_(list(deployment_ids)))
    for row in conn.execute(query.order_by(replicas.c.number, replicas.c.position)):
        found[row.deployment_id].append(
            Replica(
                number=row.number,
                position=row.position,
                state=ReplicaState(row.state),
                reason=row.reason,
                url=row.url,
                pid=row.pid,
                restarts=row.restarts,
                since=row.since,
                gpus=tuple(row.gpus or ()),
                adapters=tuple(row.adapters or ()),
                usage=msgspec.convert(row.usage or {}, Usage),
                keeper=row.keeper or "",
            )
        )
    return found


def save_replica(conn: Connection, deployment_id: str, replica: Replica) -> None:
    """Store what a replica was last seen as."""
    row = {"deployment_id": deployment_id, **msgspec.to_builtins(replica), "since": replica.since}
    keys = ["deployment_id", "number", "position"]
    upsert(conn, replicas, [row], keys=keys, update=[name for name in row if name not in keys])


def delete_replica(conn: Connection, deployment_id: str, number: int, position: int) -> None:
    """Forget a replica that has ended."""
    conn.execute(
        delete(replicas).where(
            replicas.c.deployment_id == deployment_id,
            replicas.c.number == number,
            replicas.c.position == position,
        )
    )


def take_replicas(conn: Connection) -> list[tuple[Scope, Deployment, int]]:
    """Forget all replicas of all projects; returns the (scope, deployment, version number) they belonged to."""
    query = select(deployments, replicas.c.number.label("version")).join(
        replicas, replicas.c.deployment_id == deployments.c.id
    )
    found = [
        (Scope(row.tenant, row.project), _deployment(row), int(row.version)) for row in conn.execute(query)
    ]
    conn.execute(delete(replicas))
    return found


def list_kept(conn: Connection) -> list[tuple[Scope, Deployment, str]]:
    """Return (scope, deployment, keeper) of every replica, of every scope."""
    query = select(deployments, replicas.c.keeper).join(
        replicas, replicas.c.deployment_id == deployments.c.id
    )
    return [
        (Scope(row.tenant, row.project), _deployment(row), row.keeper or "") for row in conn.execute(query)
    ]


def list_live(conn: Connection) -> list[tuple[Scope, Deployment, list[DeploymentVersion]]]:
    """Return the deployments of every scope with their versions, newest first."""
    rows = list(conn.execute(select(deployments).where(deployments.c.removed_at.is_(None))))
    found = list_versions(conn, [row.id for row in rows])
    return [(Scope(row.tenant, row.project), _deployment(row), found[row.id]) for row in rows]


def _quota(row: Any) -> Quota:
    return Quota(replicas=row.replicas, memory_bytes=row.memory_bytes, gpus=row.gpus)


def list_quotas(conn: Connection) -> dict[Scope, Quota]:
    """Return the quotas of every scope that has one."""
    return {Scope(row.tenant, row.project): _quota(row) for row in conn.execute(select(quotas))}


def get_quota(conn: Connection, scope: Scope) -> Quota:
    """Return a project's quota; without one nothing is limited."""
    mine = (quotas.c.tenant == scope.tenant) & (quotas.c.project == scope.project)
    row = conn.execute(select(quotas).where(mine)).first()
    return Quota() if row is None else _quota(row)


def put_quota(conn: Connection, scope: Scope, quota: Quota) -> None:
    """Store a project's quota."""
    row = {"tenant": scope.tenant, "project": scope.project, **msgspec.to_builtins(quota)}
    upsert(conn, quotas, [row], keys=["tenant", "project"], update=["replicas", "memory_bytes", "gpus"])
