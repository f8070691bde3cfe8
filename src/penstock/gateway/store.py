"""SQL of providers, routes and local endpoints."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Column, Connection, Float, String, Table, Text, delete, select, update

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.model import NamedRoute, Provider, Route, Split
from penstock.gateway.splits import store as splits

providers = Table(
    "gateway_providers",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("base_url", Text, nullable=False),
    Column("sealed_key", Text, nullable=False),
    Column("key_env", String(200), nullable=False),
    Column("options", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
routes = Table(
    "gateway_routes",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("route", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
endpoints = Table(
    "gateway_endpoints",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("urls", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("patience", Float),
    Column("asked_at", UtcTime),
)
KEYS = ["tenant", "project", "name"]


class StoredProvider(NamedTuple):
    """A provider with its sealed key: for the snapshot only."""

    scope: Scope
    provider: Provider
    sealed_key: str


def _at(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def _provider(row: Any) -> Provider:
    return Provider(
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        has_key=bool(row.sealed_key or row.key_env),
        key_env=row.key_env,
        options=row.options,
        updated_at=row.updated_at,
    )


def put_provider(conn: Connection, scope: Scope, provider: Provider, sealed_key: str) -> None:
    """Store a provider over any of the same name."""
    row = {
        "tenant": scope.tenant,
        "project": scope.project,
        "name": provider.name,
        "kind": provider.kind,
        "base_url": provider.base_url,
        "sealed_key": sealed_key,
        "key_env": provider.key_env,
        "options": dict(provider.options),
        "updated_at": provider.updated_at,
    }
    changed = ["kind", "base_url", "sealed_key", "key_env", "options", "updated_at"]
    upsert(conn, providers, [row], keys=KEYS, update=changed)


def get_provider(conn: Connection, scope: Scope, name: str) -> StoredProvider | None:
    """Return the provider of that name."""
    row = conn.execute(select(providers).where(_at(providers, scope), providers.c.name == name)).first()
    return None if row is None else StoredProvider(scope, _provider(row), row.sealed_key)


def list_providers(conn: Connection, scope: Scope) -> list[StoredProvider]:
    """Return the project's providers by name."""
    query = select(providers).where(_at(providers, scope)).order_by(providers.c.name)
    return [StoredProvider(scope, _provider(row), row.sealed_key) for row in conn.execute(query)]


def delete_provider(conn: Connection, scope: Scope, name: str) -> bool:
    """Delete the provider; returns whether there was one."""
    query = delete(providers).where(_at(providers, scope), providers.c.name == name)
    return conn.execute(query).rowcount > 0


def _route(row: Any) -> NamedRoute:
    return NamedRoute(name=row.name, route=msgspec.convert(row.route, Route), updated_at=row.updated_at)


def put_route(conn: Connection, scope: Scope, name: str, route: Route, at: datetime) -> None:
    """Store a route over any of the same name."""
    row = {
        "tenant": scope.tenant,
        "project": scope.project,
        "name": name,
        "route": msgspec.to_builtins(route),
        "updated_at": at,
    }
    upsert(conn, routes, [row], keys=KEYS, update=["route", "updated_at"])


def get_route(conn: Connection, scope: Scope, name: str) -> NamedRoute | None:
    """Return the route of that name."""
    row = conn.execute(select(routes).where(_at(routes, scope), routes.c.name == name)).first()
    return None if row is None else _route(row)


def list_routes(conn: Connection, scope: Scope) -> list[NamedRoute]:
    """Return the project's routes by name."""
    query = select(routes).where(_at(routes, scope)).order_by(routes.c.name)
    return [_route(row) for row in conn.execute(query)]


def delete_route(conn: Connection, scope: Scope, name: str) -> bool:
    """Delete the route; returns whether there was one."""
    return conn.execute(delete(routes).where(_at(routes, scope), routes.c.name == name)).rowcount > 0


class Endpoint(NamedTuple):
    """Where a deployment answers."""

    urls: tuple[str, ...]
    patience: float
    """Seconds that callers wait for an address when there is none; 0: they are told at once."""


def put_endpoint(conn: Connection, scope: Scope, name: str, endpoint: Endpoint, at: datetime) -> None:
    """Store the live addresses of a deployment; without any, and no patience, it is removed."""
    if not endpoint.urls and not endpoint.patience:
        conn.execute(delete(endpoints).where(_at(endpoints, scope), endpoints.c.name == name))
        return
    row = {
        "tenant": scope.tenant,
        "project": scope.project,
        "name": name,
        "urls": list(endpoint.urls),
        "updated_at": at,
        "patience": endpoint.patience,
    }
    upsert(conn, endpoints, [row], keys=KEYS, update=["urls", "updated_at", "patience"])


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(tuple(row.urls), row.patience or 0.0)


def list_endpoints(conn: Connection, scope: Scope) -> dict[str, Endpoint]:
    """Return deployment name → where it answers."""
    query = select(endpoints).where(_at(endpoints, scope))
    return {row.name: _endpoint(row) for row in conn.execute(query)}


def ask_endpoint(conn: Connection, scope: Scope, name: str, at: datetime) -> None:
    """Remember that somebody waits for the deployment."""
    mine = _at(endpoints, scope) & (endpoints.c.name == name)
    conn.execute(update(endpoints).where(mine).values(asked_at=at))


def list_asked(conn: Connection, since: datetime) -> dict[tuple[Scope, str], datetime]:
    """Return (scope, name) → when somebody last waited for it, of every scope, not before `since`."""
    query = select(endpoints).where(endpoints.c.asked_at >= since)
    return {(Scope(row.tenant, row.project), row.name): row.asked_at for row in conn.execute(query)}


class Everything(NamedTuple):
    """All configuration of all projects: what a gateway process holds in memory."""

    providers: list[StoredProvider]
    routes: list[tuple[Scope, NamedRoute]]
    endpoints: dict[Scope, dict[str, Endpoint]]
    splits: list[tuple[Scope, Split]]


def load_everything(conn: Connection) -> Everything:
    """Return the configuration of every project, each row with its scope."""
    found: dict[Scope, dict[str, Endpoint]] = {}
    for row in conn.execute(select(endpoints)):
        found.setdefault(Scope(row.tenant, row.project), {})[row.name] = _endpoint(row)
    return Everything(
        [
            StoredProvider(Scope(row.tenant, row.project), _provider(row), row.sealed_key)
            for row in conn.execute(select(providers))
        ],
        [(Scope(row.tenant, row.project), _route(row)) for row in conn.execute(select(routes))],
        found,
        splits.every(conn),
    )
