"""The SQL of prices that projects set themselves; every version of them stays."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, select, update

from penstock.core.scope import Scope
from penstock.traces.prices import OwnPrice, Price, ordered
from penstock.traces.store.tables import prices


def _at(scope: Scope) -> ColumnElement[bool]:
    return (prices.c.tenant == scope.tenant) & (prices.c.project == scope.project)


def _own(row: Any) -> OwnPrice:
    return OwnPrice(
        id=row.id,
        model=row.model,
        provider=row.provider,
        price=msgspec.convert(row.price, Price),
        since=row.created_at,
        until=row.ended_at,
    )


def put(conn: Connection, scope: Scope, made: Sequence[OwnPrice], at: datetime) -> None:
    """Store new versions; each takes the place of the one with the same pattern and provider."""
    for own in made:
        end(conn, scope, model=own.model, provider=own.provider, at=at)
    rows = [
        {
            "id": own.id,
            "tenant": scope.tenant,
            "project": scope.project,
            "model": own.model,
            "provider": own.provider,
            "price": msgspec.to_builtins(own.price),
            "created_at": at,
            "ended_at": None,
        }
        for own in made
    ]
    if rows:
        conn.execute(insert(prices), rows)


def end(conn: Connection, scope: Scope, *, model: str, provider: str, at: datetime) -> bool:
    """Let the price in force hold no longer; returns whether there was one."""
    query = update(prices).where(
        _at(scope), prices.c.model == model, prices.c.provider == provider, prices.c.ended_at.is_(None)
    )
    return conn.execute(query.values(ended_at=at)).rowcount > 0


def of_scope(conn: Connection, scope: Scope) -> tuple[OwnPrice, ...]:
    """Return one project's prices in force, the most exact pattern first."""
    query = select(prices).where(_at(scope), prices.c.ended_at.is_(None)).order_by(prices.c.created_at.desc())
    return ordered(_own(row) for row in conn.execute(query))


def history(
    conn: Connection, scope: Scope, *, model: str | None, provider: str | None, limit: int
) -> list[OwnPrice]:
    """Return versions of prices, newest first, ended ones too."""
    query = select(prices).where(_at(scope)).order_by(prices.c.created_at.desc(), prices.c.id.desc())
    if model is not None:
        query = query.where(prices.c.model == model)
    if provider is not None:
        query = query.where(prices.c.provider == provider)
    return [_own(row) for row in conn.execute(query.limit(limit))]


def version(conn: Connection, scope: Scope, price_id: str) -> OwnPrice | None:
    """Return the version with that id, whether it still holds or not."""
    row = conn.execute(select(prices).where(_at(scope), prices.c.id == price_id)).first()
    return None if row is None else _own(row)
