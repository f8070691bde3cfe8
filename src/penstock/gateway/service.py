"""The verbs of the gateway's configuration. Every change bumps the revision topic `gateway`."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.core import clock, net, plugins
from penstock.core.changes import Change
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.scope import Actor, Scope
from penstock.core.settings import CoreSettings
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.gateway import store
from penstock.gateway.batches.service import blobs_named as blobs_named
from penstock.gateway.cache import service as cache
from penstock.gateway.events import ProviderChanged, RouteChanged
from penstock.gateway.limits import service as limits
from penstock.gateway.model import NamedRoute, Provider, Route
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.routing.checking import checked
from penstock.gateway.splits.service import (
    delete_split,
    forget_outcomes,
    put_split,
    take_outcomes,
)
from penstock.gateway.tables import PROVIDER_KEYS, check_table, route_from_table
from penstock.guardrails import service as guardrails

TOPIC = "gateway"
TABLES = ("providers", "routes", "limits", "budgets", "cache", "guardrails")
"""Tables of a configuration file that belong to the gateway."""
_PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ROUTE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")


def key_purpose(scope: Scope, name: str) -> str:
    """Return what a provider's key is sealed for: a sealed key moved to another row does not open."""
    return f"gateway.provider:{scope.tenant}/{scope.project}/{name}"


# -- providers ---------------------------------------------------------------------------------------------


def put_provider(
    uow: UnitOfWork,
    actor: Actor,
    name: str,
    kind: str,
    base_url: str = "",
    api_key: str | Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Provider:
    """Make or change a provider.

    `api_key` is a secret (sealed, never returned), `{"env": NAME}` or `{"file": PATH}`; None keeps the stored one,
    an empty string removes it. Raises Invalid with a suggestion, Denied for a URL the SSRF guard refuses.
    """
    change, made, sealed = _planned_provider(uow, actor, name, kind, base_url, api_key, options)
    if change.action != "unchanged":
        _write_provider(uow, actor, made, sealed, change)
    return made


def _write_provider(uow: UnitOfWork, actor: Actor, provider: Provider, sealed: str, change: Change) -> None:
    store.put_provider(uow.conn, actor.scope, provider, sealed)
    uow.audit(
        actor, f"providers.{change.action}", provider.name, kind=provider.kind, base_url=provider.base_url
    )
    uow.publish(ProviderChanged(provider=provider.name), actor.scope)
    uow.bump(TOPIC)


def _planned_provider(
    uow: UnitOfWork,
    actor: Actor,
    name: str,
    kind: str,
    base_url: str,
    api_key: str | Mapping[str, str] | None,
    options: Mapping[str, Any] | None,
) -> tuple[Change, Provider, str]:
    uow.may(actor, "providers.admin", name)
    if not _PROVIDER_NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a provider name.", hint="Use lower-case letters, digits, - and _, at most 63."
        )
    allow_private = uow.home.settings.section(CoreSettings).allow_private_urls
    if base_url:
        net.check_url(base_url, allow_private=allow_private, resolve_host=False)
    old = store.get_provider(uow.conn, actor.scope, name)
    secret, env = _resolved_key(uow, actor.scope, old, api_key)
    made = Provider(
        name=name,
        kind=kind,
        base_url=base_url.rstrip("/"),
        has_key=bool(secret or env),
        key_env=env,
        options=dict(options or {}),
        updated_at=clock.now(),
    )
    build(made, secret, allow_private=allow_private)
    return _provider_change(uow, actor.scope, old, made, secret)


def _provider_change(
    uow: UnitOfWork, scope: Scope, old: store.StoredProvider | None, made: Provider, secret: str
) -> tuple[Change, Provider, str]:
    note = ""
    if made.key_env and made.key_env not in os.environ:
        note = f"{made.key_env} is not set here; it must be where the server runs"
    if old is not None:
        kept = open_key(uow, scope, old)
        if replace(made, updated_at=old.provider.updated_at) == old.provider and secret == kept:
            return Change(action="unchanged", kind="provider", name=made.name), old.provider, old.sealed_key
    purpose = key_purpose(scope, made.name)
    sealed = uow.home.vault.seal(secret.encode(), purpose=purpose) if secret else ""
    action = "create" if old is None else "update"
    detail = ", ".join(filter(None, (f"{made.kind} {made.base_url}".strip(), note)))
    return Change(action=action, kind="provider", name=made.name, detail=detail), made, sealed


def open_key(uow: UnitOfWork, scope: Scope, stored: store.StoredProvider) -> str:
    """Return the sealed key of a stored provider, or an empty string."""
    if not stored.sealed_key:
        return ""
    return uow.home.vault.open(stored.sealed_key, purpose=key_purpose(scope, stored.provider.name)).decode()


def _resolved_key(
    uow: UnitOfWork,
    scope: Scope,
    old: store.StoredProvider | None,
    given: str | Mapping[str, str] | None,
) -> tuple[str, str]:
    """Return (secret, name of the environment variable); a variable set here is also sealed for the server."""
    if given is None:
        return (open_key(uow, scope, old), old.provider.key_env) if old is not None else ("", "")
    if isinstance(given, str):
        return given.strip(), ""
    if set(given) == {"env"} and isinstance(given["env"], str) and given["env"]:
        name = given["env"]
        value = os.environ.get(name, "").strip()
        if not value and old is not None and old.provider.key_env == name:
            value = open_key(uow, scope, old)
        return value, name
    if set(given) == {"file"} and isinstance(given["file"], str):
        try:
            return Path(given["file"]).read_text().strip(), ""
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"The key file {given['file']} cannot be read: {error}.") from error
    raise Invalid("api_key must be a string, { env = NAME } or { file = PATH }.")


def build(provider: Provider, secret: str, *, allow_private: bool, **more: Any) -> Any:
    """Return the plug-in's instance for a provider; raises Invalid when kind, URL or options are wrong."""
    plugin = plugins.load("providers", provider.kind)
    return plugin(
        ProviderConfig(
            name=provider.name,
            base_url=provider.base_url,
            api_key=secret,
            options=provider.options,
            allow_private=allow_private,
            **more,
        )
    )


def list_providers(uow: UnitOfWork, actor: Actor) -> list[Provider]:
    """Return the project's providers by name, without their keys."""
    uow.may(actor, "providers.read")
    return [stored.provider for stored in store.list_providers(uow.conn, actor.scope)]


def get_provider(uow: UnitOfWork, actor: Actor, name: str) -> Provider:
    """Return a provider; raises NotFound."""
    uow.may(actor, "providers.read", name)
    stored = store.get_provider(uow.conn, actor.scope, name)
    if stored is None:
        raise NotFound(f"There is no provider {name!r}.")
    return stored.provider


def delete_provider(uow: UnitOfWork, actor: Actor, name: str) -> None:
    """Delete a provider; raises NotFound, and Conflict while a route uses it."""
    uow.may(actor, "providers.admin", name)
    users = [
        found.name for found in store.list_routes(uow.conn, actor.scope) if name in found.route.providers()
    ]
    if users:
        raise Conflict(
            f"The provider {name!r} is used by the routes {', '.join(users)}.",
            hint="Change or delete them first.",
        )
    if not store.delete_provider(uow.conn, actor.scope, name):
        raise NotFound(f"There is no provider {name!r}.")
    uow.audit(actor, "providers.delete", name)
    uow.publish(ProviderChanged(provider=name, deleted=True), actor.scope)
    uow.bump(TOPIC)


# -- routes ------------------------------------------------------------------------------------------------


def put_route(uow: UnitOfWork, actor: Actor, name: str, route: Route) -> NamedRoute:
    """Make or change the route `name`; raises Invalid with a suggestion."""
    known = {provider.name for provider in list_providers(uow, actor)}
    change, made = _planned_route(uow, actor, name, route, known, {})
    if change.action != "unchanged":
        _write_route(uow, actor, made, change)
    return made


def _planned_route(
    uow: UnitOfWork, actor: Actor, name: str, route: Route, known: set[str], planned: Mapping[str, Route]
) -> tuple[Change, NamedRoute]:
    uow.may(actor, "routes.admin", name)
    if not _ROUTE_NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a route name.", hint="Use letters, digits and . _ : / @ + -, at most 200."
        )
    shared = Scope(actor.scope.tenant)
    others: dict[str, Route] = {}
    if actor.scope != shared:
        known = known | {stored.provider.name for stored in store.list_providers(uow.conn, shared)}
    if route.nested():
        rows = [*store.list_routes(uow.conn, shared), *store.list_routes(uow.conn, actor.scope)]
        others = {each.name: each.route for each in rows} | dict(planned)
    made = NamedRoute(name=name, route=checked(name, route, known, others), updated_at=clock.now())
    old = store.get_route(uow.conn, actor.scope, name)
    if old is not None and old.route == made.route:
        return Change(action="unchanged", kind="route", name=name), old
    return Change(
        action="create" if old is None else "update", kind="route", name=name, detail=_detail(made.route)
    ), made


def _detail(route: Route) -> str:
    parts = [", ".join(f"{target} ×{target.weight:g}" for target in route.targets)] if route.targets else []
    parts += [f"arm {arm.name} ×{arm.weight:g} ({', '.join(map(str, arm.targets))})" for arm in route.arms]
    if route.shadow is not None:
        parts.append(f"shadow {route.shadow.provider}/{route.shadow.model}")
    return f"{route.strategy}: {', '.join(parts)}"


def _write_route(uow: UnitOfWork, actor: Actor, made: NamedRoute, change: Change) -> None:
    store.put_route(uow.conn, actor.scope, made.name, made.route, made.updated_at)
    uow.audit(actor, f"routes.{change.action}", made.name, detail=change.detail)
    uow.publish(RouteChanged(route=made.name), actor.scope)
    uow.bump(TOPIC)


def list_routes(uow: UnitOfWork, actor: Actor) -> list[NamedRoute]:
    """Return the project's routes by name."""
    uow.may(actor, "routes.read")
    return store.list_routes(uow.conn, actor.scope)


def get_route(uow: UnitOfWork, actor: Actor, name: str) -> NamedRoute:
    """Return a route; raises NotFound with a suggestion."""
    uow.may(actor, "routes.read", name)
    found = store.get_route(uow.conn, actor.scope, name)
    if found is None:
        known = [route.name for route in store.list_routes(uow.conn, actor.scope)]
        raise NotFound(f"There is no route {name!r}.", hint=did_you_mean(name, known))
    return found


def delete_route(uow: UnitOfWork, actor: Actor, name: str) -> None:
    """Delete a route; raises NotFound, and Conflict while another route goes on with it."""
    uow.may(actor, "routes.admin", name)
    users = [found.name for found in store.list_routes(uow.conn, actor.scope) if name in found.route.nested()]
    if users:
        raise Conflict(
            f"The route {name!r} is used by the routes {', '.join(users)}.",
            hint="Change or delete them first.",
        )
    if not store.delete_route(uow.conn, actor.scope, name):
        raise NotFound(f"There is no route {name!r}.")
    uow.audit(actor, "routes.delete", name)
    uow.publish(RouteChanged(route=name, deleted=True), actor.scope)
    uow.bump(TOPIC)


# -- endpoints of local models -----------------------------------------------------------------------------


def set_endpoint(
    uow: UnitOfWork, name: str, urls: Sequence[str], *, scope: Scope | None = None, patience: float = 0.0
) -> None:
    """Set the live addresses of the deployment `name`; an empty list takes it out of service.

    With `patience`, callers wait so many seconds for an address where there is none (see `waiting.service`). Called by
    serving's reconciler, so nobody's permission is asked. Raises Denied unless the addresses may be called.
    """
    for url in urls:
        net.check_url(url, allow_private=True, resolve_host=False)
    place, wanted = scope or Scope(), store.Endpoint(tuple(urls), patience)
    if store.list_endpoints(uow.conn, place).get(name, store.Endpoint((), 0.0)) == wanted:
        return
    store.put_endpoint(uow.conn, place, name, wanted, clock.now())
    uow.bump(TOPIC)


def list_endpoints(uow: UnitOfWork, *, scope: Scope | None = None) -> dict[str, tuple[str, ...]]:
    """Return deployment name → live addresses."""
    found = store.list_endpoints(uow.conn, scope or Scope())
    return {name: endpoint.urls for name, endpoint in found.items() if endpoint.urls}


# -- configuration as code ---------------------------------------------------------------------------------


def plan(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Any]) -> list[Change]:
    """Return what `apply` would do, having validated everything and written nothing."""
    planned = _planned(uow, actor, tables.get("providers", {}), tables.get("routes", {}))
    return [change for change, _, _ in planned] + _planned_rules(uow, actor, tables)


def _planned_rules(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Any]) -> list[Change]:
    changes = limits.plan(uow, actor, tables) + cache.plan(uow, actor, tables.get("cache", {}))
    return changes + guardrails.plan(uow, actor, tables.get("guardrails", {}))


def apply(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Any]) -> list[Change]:
    """Bring everything to the tables of a configuration file (`TABLES`: `[providers.x]`, `[routes.y]`, …).

    Validates everything before it writes anything; what the file does not name stays. Raises Invalid.
    """
    planned = _planned(uow, actor, tables.get("providers", {}), tables.get("routes", {}))
    rules = _planned_rules(uow, actor, tables)
    for change, noun, sealed in planned:
        if change.action == "unchanged":
            continue
        if isinstance(noun, Provider):
            _write_provider(uow, actor, noun, sealed, change)
        else:
            _write_route(uow, actor, noun, change)
    limits.apply(uow, actor, tables)
    cache.apply(uow, actor, tables.get("cache", {}))
    guardrails.apply(uow, actor, tables.get("guardrails", {}))
    return [change for change, _, _ in planned] + rules


def _planned(
    uow: UnitOfWork, actor: Actor, providers: Mapping[str, Any], routes: Mapping[str, Any]
) -> list[tuple[Change, Provider | NamedRoute, str]]:
    out: list[tuple[Change, Provider | NamedRoute, str]] = []
    known = {provider.name for provider in list_providers(uow, actor)}
    for name, table in providers.items():
        check_table(f"[providers.{name}]", table, PROVIDER_KEYS, required="kind")
        key = table.get("api_key", "")
        if not isinstance(key, str | Mapping):
            raise Invalid(
                f"[providers.{name}] api_key must be a string, {{ env = NAME }} or {{ file = PATH }}."
            )
        out.append(
            _planned_provider(
                uow, actor, name, table["kind"], table.get("base_url", ""), key, table.get("options")
            )
        )
        known.add(name)
    wanted = {name: route_from_table(name, table) for name, table in routes.items()}
    for name, route in wanted.items():
        change, made = _planned_route(uow, actor, name, route, known, wanted)
        out.append((change, made, ""))
    return out


__all__ = [
    "TABLES",
    "TOPIC",
    "apply",
    "build",
    "delete_provider",
    "delete_route",
    "delete_split",
    "forget_outcomes",
    "get_provider",
    "get_route",
    "key_purpose",
    "list_endpoints",
    "list_providers",
    "list_routes",
    "open_key",
    "plan",
    "put_provider",
    "put_route",
    "put_split",
    "set_endpoint",
    "take_outcomes",
]
