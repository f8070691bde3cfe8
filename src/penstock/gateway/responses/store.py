"""SQL of stored responses and of the items in them that may be referred to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from penstock.core.db import UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.responses.model import StoredResponse

responses = Table(
    "gateway_responses",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("previous_id", String(40)),
    Column("model", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index("ix_gateway_responses_scope", "tenant", "project", "id", "size"),
    Index("ix_gateway_responses_expires_at", "expires_at"),
)
items = Table(
    "gateway_response_items",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("item_id", String(128), primary_key=True),
    Column("response_id", String(40), nullable=False),
    Index("ix_gateway_response_items_response_id", "response_id"),
)


class Row(NamedTuple):
    """A response to be stored, and the ids of its items."""

    response: StoredResponse
    item_ids: tuple[str, ...]


def _within(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def write(conn: Connection, rows: Sequence[Row]) -> None:
    """Store responses, of every scope among them; an item named again is found in the newest."""
    shared = ("id", "key_id", "previous_id", "model", "body", "created_at", "expires_at")
    conn.execute(
        insert(responses),
        [
            {
                "tenant": row.response.scope.tenant,
                "project": row.response.scope.project,
                "size": len(row.response.body),
                **{name: getattr(row.response, name) for name in shared},
            }
            for row in rows
        ],
    )
    keys = ("tenant", "project", "item_id")
    named = {
        (row.response.scope.tenant, row.response.scope.project, name): row.response.id
        for row in rows
        for name in row.item_ids
    }
    found = [{**dict(zip(keys, key, strict=True)), "response_id": name} for key, name in named.items()]
    upsert(conn, items, found, keys=keys, update=["response_id"])


def by_id(conn: Connection, scope: Scope, response_id: str, at: datetime) -> StoredResponse | None:
    """Return a response that has not expired at the moment `at`."""
    row = conn.execute(
        select(responses).where(
            _within(responses, scope), responses.c.id == response_id, responses.c.expires_at > at
        )
    ).first()
    if row is None:
        return None
    return StoredResponse(
        id=row.id,
        scope=scope,
        key_id=row.key_id,
        previous_id=row.previous_id,
        model=row.model,
        created_at=row.created_at,
        expires_at=row.expires_at,
        body=bytes(row.body),
    )


def holder(conn: Connection, scope: Scope, item_id: str) -> str | None:
    """Return the id of the response that an item of that id came with."""
    query = select(items.c.response_id).where(_within(items, scope), items.c.item_id == item_id)
    return conn.execute(query).scalar()


def remove(conn: Connection, scope: Scope, response_id: str) -> None:
    """Delete a response and what refers to it."""
    conn.execute(delete(items).where(_within(items, scope), items.c.response_id == response_id))
    conn.execute(delete(responses).where(_within(responses, scope), responses.c.id == response_id))


def remove_expired(conn: Connection, at: datetime, limit: int) -> int:
    """Delete up to `limit` responses of every scope whose time is over; returns how many."""
    query = select(responses.c.id).where(responses.c.expires_at <= at).limit(limit)
    return _remove_all(conn, [row.id for row in conn.execute(query)])


def _remove_all(conn: Connection, gone: list[str]) -> int:
    """Delete responses found by a query over every scope."""
    if gone:
        conn.execute(delete(items).where(items.c.response_id.in_(gone)))
        conn.execute(delete(responses).where(responses.c.id.in_(gone)))
    return len(gone)


def too_large(conn: Connection, limit_bytes: int) -> list[tuple[Scope, int]]:
    """Return, of every scope that holds more than the limit, how many bytes are too many."""
    total = func.sum(responses.c.size)
    query = select(responses.c.tenant, responses.c.project, total.label("total"))
    query = query.group_by(responses.c.tenant, responses.c.project).having(total > limit_bytes)
    return [(Scope(row.tenant, row.project), int(row.total) - limit_bytes) for row in conn.execute(query)]


def remove_oldest(conn: Connection, scope: Scope, excess: int, limit: int) -> int:
    """Delete the oldest responses until `excess` bytes are free, at most `limit`; returns how many."""
    query = select(responses.c.id, responses.c.size).where(_within(responses, scope))
    gone: list[str] = []
    for row in conn.execute(query.order_by(responses.c.id).limit(limit)):
        if excess <= 0:
            break
        gone.append(row.id)
        excess -= int(row.size)
    return _remove_all(conn, gone)
