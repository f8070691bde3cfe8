"""The SQL of prices that projects set themselves."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.traces.prices import OwnPrice, Price, ordered
from penstock.traces.store.tables import prices


def put(conn: Connection, scope: Scope, own: OwnPrice, at: datetime) -> None:
    """Store a price in the place of the one with the same pattern and provider; its id is new."""
    remove(conn, scope, model=own.model, provider=own.provider)
    row = {
        "id": own.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "model": own.model,
        "provider": own.provider,
        "input": own.price.input,
        "output": own.price.output,
        "cached": own.price.cached,
        "cache_write": own.price.cache_write,
        "created_at": at,
    }
    upsert(conn, prices, [row], keys=["tenant", "project", "model", "provider"])


def remove(conn: Connection, scope: Scope, *, model: str, provider: str) -> bool:
    """Delete a price; returns whether there was one."""
    query = delete(prices).where(
        prices.c.tenant == scope.tenant,
        prices.c.project == scope.project,
        prices.c.model == model,
        prices.c.provider == provider,
    )
    return conn.execute(query).rowcount > 0


def of_scope(conn: Connection, scope: Scope) -> tuple[OwnPrice, ...]:
    """Return one project's prices, the most exact pattern first."""
    query = select(prices).where(prices.c.tenant == scope.tenant, prices.c.project == scope.project)
    return ordered(
        OwnPrice(
            id=row.id,
            model=row.model,
            provider=row.provider,
            price=Price(input=row.input, output=row.output, cached=row.cached, cache_write=row.cache_write),
        )
        for row in conn.execute(query)
    )
