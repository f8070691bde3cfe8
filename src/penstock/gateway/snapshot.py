"""The gateway's configuration in memory: immutable, built off the hot path, swapped whole when it changes."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock.core import clock, log
from penstock.core.auth import service as auth
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.core.settings import CoreSettings
from penstock.core.uow import UnitOfWork
from penstock.gateway import service, store
from penstock.gateway.model import LOCAL, NamedRoute, Provider, Route
from penstock.gateway.picker import Picker
from penstock.gateway.ports import Provider as ProviderPlugin
from penstock.gateway.settings import GatewaySettings
from penstock.gateway.upstream.request import Timeouts

_log = log.get("gateway")
NEVER = 1 << 63
TOPICS = (service.TOPIC, auth.TOPIC)


class Caller(NamedTuple):
    """Who a key belongs to, as far as calls need it."""

    key_id: str
    name: str
    scope: Scope
    rank: int
    any_project: bool
    expires_ns: int
    session: bool = False
    """True for a browser session: only requests from our own pages may use it."""


class LiveProvider(NamedTuple):
    """A provider ready to be called."""

    name: str
    kind: str
    plugin: ProviderPlugin
    timeouts: Timeouts


class LiveTarget(NamedTuple):
    """A target ready to be called."""

    provider: LiveProvider
    model: str
    label: str
    """`provider/model`, as a header value."""


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """A route ready to be called; `attempts` bounds how often a call is tried."""

    name: str
    strategy: str
    picker: Picker[LiveTarget]
    attempts: int
    timeout: float | None
    created: int
    """Seconds since the epoch, for the list of models."""


@dataclass(frozen=True, slots=True)
class Table:
    """The routes and providers that one project sees."""

    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    providers: Mapping[str, LiveProvider] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the hot path looks up."""

    callers: Mapping[str, Caller]
    """SHA-256 (hex) of a key or session secret → who it is."""
    tables: Mapping[Scope, Table]
    revisions: tuple[int, ...] = ()

    def caller(self, secret: bytes) -> Caller | None:
        """Return who `secret` belongs to, or None when it is unknown or has expired."""
        found = self.callers.get(hashlib.sha256(secret).hexdigest())
        if found is None or found.expires_ns < clock.now_ns():
            return None
        return found

    def table(self, scope: Scope) -> Table:
        """Return what a project sees: its own, and what the tenant's default project shares."""
        found = self.tables.get(scope)
        return found if found is not None else self.tables.get(Scope(scope.tenant), _EMPTY)


_EMPTY = Table()


def revisions(home: Home) -> tuple[int, ...]:
    """Return the counters that tell whether a snapshot is still good."""
    return tuple(home.revision(topic) for topic in TOPICS)


def load(home: Home) -> Snapshot:
    """Build a snapshot from the store. A provider or route that cannot be built is left out and logged."""
    seen = revisions(home)
    callers = {
        digest: Caller(
            key.id,
            key.name,
            key.scope,
            key.role.rank,
            key.any_project,
            clock.to_ns(key.expires_at) if key.expires_at else NEVER,
        )
        for digest, key in auth.active_keys(home).items()
    }
    for digest, actor in auth.live_sessions(home).items():
        callers[digest] = _session(actor)
    with home.read() as uow:
        everything = store.load_everything(uow.conn)
        tables = _Builder(uow, everything).tables()
    return Snapshot(callers, tables, seen)


def _session(actor: Actor) -> Caller:
    return Caller(actor.id, actor.name, actor.scope, actor.role.rank, True, NEVER, True)


class _Builder:
    """Builds the tables of all projects from one reading of the store."""

    def __init__(self, uow: UnitOfWork, everything: store.Everything) -> None:
        self._uow = uow
        self._all = everything
        settings = uow.home.settings
        self._settings = settings.section(GatewaySettings)
        self._allow_private = settings.section(CoreSettings).allow_private_urls

    def tables(self) -> dict[Scope, Table]:
        """Return the table of every project that has rows, defaults shared."""
        scopes = {stored.scope for stored in self._all.providers}
        scopes |= {scope for scope, _ in self._all.routes} | set(self._all.endpoints)
        scopes |= {Scope(scope.tenant) for scope in scopes} | {Scope()}
        out: dict[Scope, Table] = {}
        for scope in sorted(scopes, key=lambda each: (each.tenant, each.project != "default")):
            out[scope] = self._table(scope, out.get(Scope(scope.tenant), _EMPTY))
        return out

    def _table(self, scope: Scope, shared: Table) -> Table:
        providers = dict(shared.providers)
        for stored in self._all.providers:
            if stored.scope == scope and (live := self._provider(stored)) is not None:
                providers[live.name] = live
        if LOCAL not in providers or scope in self._all.endpoints:
            implicit = Provider(name=LOCAL, kind=LOCAL, base_url="")
            local = self._provider(store.StoredProvider(scope, implicit, ""))
            if local is not None:
                providers[LOCAL] = local
        routes = dict(shared.routes)
        for owner, named in self._all.routes:
            if owner == scope and (route := self._route(named, providers)) is not None:
                routes[named.name] = route
        return Table(routes, providers)

    def _provider(self, stored: store.StoredProvider) -> LiveProvider | None:
        provider, settings = stored.provider, self._settings
        more = {"endpoints": self._all.endpoints.get(stored.scope, {})} if provider.kind == LOCAL else {}
        try:
            secret = os.environ.get(provider.key_env, "").strip() if provider.key_env else ""
            secret = secret or service.open_key(self._uow, stored.scope, stored)
            plugin = service.build(provider, secret, allow_private=self._allow_private, **more)
        except PenstockError as error:
            _log.error("provider %s cannot be used: %s", provider.name, error)
            return None
        timeouts = Timeouts(
            connect=settings.connect_seconds,
            first_byte=float(provider.options.get("timeout", settings.first_byte_seconds)),
            idle=settings.idle_seconds,
        )
        return LiveProvider(provider.name, provider.kind, plugin, timeouts)

    def _route(self, named: NamedRoute, providers: Mapping[str, LiveProvider]) -> LiveRoute | None:
        route: Route = named.route
        targets = [
            (live_target(providers[target.provider], target.model), target.weight)
            for target in route.targets
            if target.provider in providers
        ]
        if not targets:
            _log.error("route %s has no usable target", named.name)
            return None
        attempts = 1 + route.retries
        if route.strategy == "fallback":
            attempts = max(attempts, len(targets))
        return LiveRoute(
            named.name,
            route.strategy,
            Picker(targets, ordered=route.strategy == "fallback"),
            attempts,
            route.timeout,
            clock.to_ns(named.updated_at) // 1_000_000_000,
        )


def live_target(provider: LiveProvider, model: str) -> LiveTarget:
    """Return `model` at `provider` as a target."""
    label = f"{provider.name}/{model}"
    return LiveTarget(provider, model, label if label.isascii() and label.isprintable() else provider.name)


def direct(table: Table, caller: Caller, model: str) -> LiveRoute | None:
    """Return an ad-hoc route for `provider/model`, which members and above may name without a route."""
    name, slash, rest = model.partition("/")
    provider = table.providers.get(name) if slash and rest else None
    if provider is None or caller.rank < Role.MEMBER.rank:
        return None
    return LiveRoute("", "fallback", Picker([(live_target(provider, rest), 1.0)], ordered=True), 2, None, 0)
