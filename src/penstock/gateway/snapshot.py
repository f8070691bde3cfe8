"""The gateway's configuration in memory: immutable, built off the hot path, swapped whole when it changes."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from penstock.core import clock, log
from penstock.core.auth import service as auth
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.core.settings import CoreSettings
from penstock.core.uow import UnitOfWork
from penstock.gateway import service, store
from penstock.gateway.model import LOCAL, Provider
from penstock.gateway.ports import prepare_of
from penstock.gateway.routing import build
from penstock.gateway.routing.gate import Gate
from penstock.gateway.routing.health import HealthRegistry
from penstock.gateway.routing.live import LiveProvider, LiveRoute, LiveSplit
from penstock.gateway.settings import GatewaySettings
from penstock.gateway.upstream.request import Timeouts

_log = log.get("gateway")
SHORTEST_SECRET = 8
"""Shorter values are ordinary words, which a text may hold by chance."""
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
    models: tuple[str, ...] = ()
    """Patterns of the models it may call; empty: all."""

    def may_call(self, model: str) -> bool:
        """Whether the key is for that model, which is a route's name or `provider/model`."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Table:
    """The routes and providers that one project sees."""

    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    providers: Mapping[str, LiveProvider] = field(default_factory=dict)
    prompts: Mapping[tuple[str, str], LiveSplit] = field(default_factory=dict)
    """(name or id, label) of prompts that a release divides; empty nearly always."""


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
    return home.revisions(*TOPICS)


def load(home: Home, health: HealthRegistry) -> Snapshot:
    """Build a snapshot from the store; what is known of targets lives on in `health`.

    A provider or route that cannot be built is left out and logged.
    """
    seen = revisions(home)
    callers = {
        digest: Caller(
            key.id,
            key.name,
            key.scope,
            key.role.rank,
            key.any_project,
            clock.to_ns(key.expires_at) if key.expires_at else NEVER,
            models=key.models,
        )
        for digest, key in auth.active_keys(home).items()
    }
    for digest, actor in auth.live_sessions(home).items():
        callers[digest] = _session(actor)
    with home.read() as uow:
        everything = store.load_everything(uow.conn)
        tables = _Builder(uow, everything, health).tables()
    health.sweep()
    return Snapshot(callers, tables, seen)


def _session(actor: Actor) -> Caller:
    return Caller(actor.id, actor.name, actor.scope, actor.role.rank, True, NEVER, True)


class _Builder:
    """Builds the tables of all projects from one reading of the store."""

    def __init__(self, uow: UnitOfWork, everything: store.Everything, health: HealthRegistry) -> None:
        self._uow = uow
        self._health = health
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
        own = {named.name: named for owner, named in self._all.routes if owner == scope}
        default = Scope(scope.tenant)
        seen = {named.name: named for owner, named in self._all.routes if owner == default} | own
        builder = build.RouteBuilder(scope, providers, seen, self._health)
        built = {name: route for name in own if (route := builder.build(name)) is not None}
        prompts = dict[tuple[str, str], LiveSplit]()
        for owner, split in self._all.splits:
            if owner != scope:
                continue
            if split.prompt:
                divided = builder.prompt_split(split)
                prompts |= {(split.prompt, split.label): divided, (split.prompt_id, split.label): divided}
            elif split.route in built:
                built[split.route] = builder.divided(built[split.route], split)
        return Table({**shared.routes, **built}, providers, prompts)

    def _provider(self, stored: store.StoredProvider) -> LiveProvider | None:
        provider, settings = stored.provider, self._settings
        found = self._all.endpoints.get(stored.scope, {}) if provider.kind == LOCAL else {}
        more = {
            "endpoints": {name: each.urls for name, each in found.items()},
            "patience": {name: each.patience for name, each in found.items()},
        }
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
        return LiveProvider(
            provider.name,
            provider.kind,
            plugin,
            timeouts,
            stored.scope,
            self._gate(stored),
            provider.options.get("trace_context", True),
            prepare_of(plugin),
            _secrets(provider, secret),
        )

    def _gate(self, stored: store.StoredProvider) -> Gate | None:
        options, name = stored.provider.options, stored.provider.name
        limit = options.get("max_concurrent")
        if limit is None:
            return None
        queue, seconds = options.get("queue", 0), float(options.get("queue_seconds", 10.0))
        return self._health.gate(stored.scope, "provider", name, limit=limit, queue=queue, seconds=seconds)


def _secrets(provider: Provider, key: str) -> tuple[str, ...]:
    """Return what the provider is sent that nobody else may see."""
    options = provider.options
    sent = [key, options.get("session_token", ""), *options.get("headers", {}).values()]
    return tuple(each for each in sent if isinstance(each, str) and len(each) >= SHORTEST_SECRET)


def direct(table: Table, caller: Caller, model: str, health: HealthRegistry) -> LiveRoute | None:
    """Return an ad-hoc route for `provider/model`, which members and above may name without a route."""
    name, slash, rest = model.partition("/")
    provider = table.providers.get(name) if slash and rest else None
    if provider is None or caller.rank < Role.MEMBER.rank:
        return None
    return build.direct(provider, rest, health)
