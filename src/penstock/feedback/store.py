"""SQL of feedback."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
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
from penstock.feedback.model import Feedback, Kind, ScoreConfig, ScoreKind

items = Table(
    "feedback_items",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("key", String(200)),
    Column("trace_id", String(32), nullable=False),
    Column("span_id", String(16)),
    Column("session", String(200), nullable=False, server_default=""),
    Column("name", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("number", Float),
    Column("text", Text),
    Column("chosen", Text),
    Column("rejected", Text),
    Column("comment", Text, nullable=False),
    Column("source", String(100), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("route", String(200), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "key"),
    Index("ix_feedback_items_scope", "tenant", "project", "id"),
    Index("ix_feedback_items_trace", "tenant", "project", "trace_id"),
    Index("ix_feedback_items_subject", "tenant", "project", "subject"),
    Index("ix_feedback_items_session", "tenant", "project", "session"),
)

configs = Table(
    "feedback_score_configs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("options", Json, nullable=False),
    Column("description", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

_CHUNK = 500
_FIELDS = (
    "id",
    "key",
    "trace_id",
    "span_id",
    "session",
    "name",
    "kind",
    "number",
    "text",
    "chosen",
    "rejected",
    "comment",
    "source",
    "subject",
    "route",
    "actor",
    "created_at",
)


def _in(scope: Scope) -> ColumnElement[bool]:
    return (items.c.tenant == scope.tenant) & (items.c.project == scope.project)


def _feedback(row: Any) -> Feedback:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Feedback(**{**values, "kind": Kind(row.kind)})


def insert(conn: Connection, scope: Scope, item: Feedback) -> bool:
    """Store an item; returns False when its key was used before."""
    row = {name: getattr(item, name) for name in _FIELDS}
    row |= {"kind": str(item.kind), "tenant": scope.tenant, "project": scope.project}
    return upsert(conn, items, [row], keys=["tenant", "project", "key"]) > 0


def rewrite(conn: Connection, scope: Scope, item: Feedback) -> None:
    """Change what the item with this id says."""
    said = ("kind", "number", "text", "chosen", "rejected", "comment", "created_at")
    values = {name: getattr(item, name) for name in said} | {"kind": str(item.kind)}
    conn.execute(update(items).where(_in(scope), items.c.id == item.id).values(values))


def by_key(conn: Connection, scope: Scope, key: str) -> Feedback | None:
    """Return the item given with the idempotency key, or None."""
    row = conn.execute(select(items).where(_in(scope), items.c.key == key)).first()
    return _feedback(row) if row else None


def newest(
    conn: Connection, scope: Scope, *, equal: dict[str, str], before: str | None, limit: int
) -> list[Feedback]:
    """Return items, newest first, whose columns have the values in `equal`."""
    query = select(items).where(_in(scope), *(items.c[name] == value for name, value in equal.items()))
    if before is not None:
        query = query.where(items.c.id < before)
    return [_feedback(row) for row in conn.execute(query.order_by(items.c.id.desc()).limit(limit))]


def of_kinds(
    conn: Connection, scope: Scope, kinds: list[Kind], *, since: datetime | None, until: datetime | None
) -> list[Feedback]:
    """Return items of the kinds, oldest first, given from `since` (inclusive) to `until` (exclusive)."""
    query = select(items).where(_in(scope), items.c.kind.in_([str(kind) for kind in kinds]))
    if since is not None:
        query = query.where(items.c.created_at >= since)
    if until is not None:
        query = query.where(items.c.created_at < until)
    return [_feedback(row) for row in conn.execute(query.order_by(items.c.id))]


def remove(conn: Connection, scope: Scope, item_id: str) -> Feedback | None:
    """Delete an item and return what it said; None when there is none."""
    where = (_in(scope), items.c.id == item_id)
    row = conn.execute(select(items).where(*where)).first()
    if row is None:
        return None
    conn.execute(delete(items).where(*where))
    return _feedback(row)


def of_subject(conn: Connection, scope: Scope, subject: str) -> list[Feedback]:
    """Return everything about or by the subject, oldest first."""
    query = select(items).where(_in(scope), items.c.subject == subject).order_by(items.c.id)
    return [_feedback(row) for row in conn.execute(query)]


def of_traces(conn: Connection, scope: Scope, trace_ids: Sequence[str]) -> list[Feedback]:
    """Return everything about the traces, oldest first."""
    found: list[Feedback] = []
    for start in range(0, len(trace_ids), _CHUNK):
        wanted = items.c.trace_id.in_(trace_ids[start : start + _CHUNK])
        found += [_feedback(row) for row in conn.execute(select(items).where(_in(scope), wanted))]
    return sorted(found, key=lambda item: item.id)


def of_session(conn: Connection, scope: Scope, session: str) -> list[Feedback]:
    """Return everything about the session as a whole, oldest first."""
    query = select(items).where(_in(scope), items.c.session == session).order_by(items.c.id)
    return [_feedback(row) for row in conn.execute(query)]


def erase_subject(conn: Connection, scope: Scope, subject: str) -> int:
    """Delete everything about or by the subject; returns how many items."""
    return conn.execute(delete(items).where(_in(scope), items.c.subject == subject)).rowcount


def count(conn: Connection, scope: Scope) -> int:
    """Return how many judgements the project has."""
    query = select(func.count()).select_from(items)
    return (
        conn.execute(query.where(items.c.tenant == scope.tenant, items.c.project == scope.project)).scalar()
        or 0
    )


_CONFIG = ("name", "kind", "low", "high", "options", "description", "updated_at")


def _configs_in(scope: Scope) -> ColumnElement[bool]:
    return (configs.c.tenant == scope.tenant) & (configs.c.project == scope.project)


def _config(row: Any) -> ScoreConfig:
    values = {name: getattr(row, name) for name in _CONFIG}
    return ScoreConfig(**{**values, "kind": ScoreKind(row.kind), "options": tuple(row.options)})


def put_config(conn: Connection, scope: Scope, config: ScoreConfig) -> None:
    """Store a score config in the place of one of the same name."""
    row = {name: getattr(config, name) for name in _CONFIG}
    row |= {"kind": str(config.kind), "options": list(config.options)}
    row |= {"tenant": scope.tenant, "project": scope.project}
    upsert(conn, configs, [row], keys=["tenant", "project", "name"], update=_CONFIG[1:])


def config_named(conn: Connection, scope: Scope, name: str) -> ScoreConfig | None:
    """Return the score config, or None."""
    row = conn.execute(select(configs).where(_configs_in(scope), configs.c.name == name)).first()
    return _config(row) if row else None


def all_configs(conn: Connection, scope: Scope) -> list[ScoreConfig]:
    """Return the project's score configs by name."""
    query = select(configs).where(_configs_in(scope)).order_by(configs.c.name)
    return [_config(row) for row in conn.execute(query)]


def delete_config(conn: Connection, scope: Scope, name: str) -> bool:
    """Delete a score config; returns whether there was one."""
    return conn.execute(delete(configs).where(_configs_in(scope), configs.c.name == name)).rowcount > 0
