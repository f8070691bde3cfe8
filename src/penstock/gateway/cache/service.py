"""The verbs of the cache: policies of routes, and throwing kept answers away."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.changes import Change
from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.gateway.cache import shared, store
from penstock.gateway.cache.model import HASHED, CachePolicy, Embedder, NamedPolicy

MAX_ROUTE = 200
_MEMBERS = ("mode", "ttl", "scope", "max_entry_kb", "threshold", "embedder")


def put_policy(uow: UnitOfWork, actor: Actor, route: str, policy: CachePolicy) -> NamedPolicy:
    """Let the route (`*`: every route without a policy) keep answers; takes force in half a second.

    Raises Invalid for a policy that cannot be.
    """
    uow.may(actor, "cache.admin", route)
    _check_route(route)
    made = NamedPolicy(route=route, policy=policy.checked(route), updated_at=clock.now())
    store.put_policy(uow.conn, actor.scope, route, made.policy, made.updated_at)
    uow.audit(actor, "cache.put", route, mode=policy.mode, scope=policy.scope, ttl=policy.ttl)
    uow.bump(shared.TOPIC)
    return made


def _check_route(route: str) -> None:
    if not 1 <= len(route) <= MAX_ROUTE:
        raise Invalid(f"A cache needs the name of a route, of 1 to {MAX_ROUTE} characters, or `*`.")


def list_policies(uow: UnitOfWork, actor: Actor) -> list[NamedPolicy]:
    """Return the project's policies by route."""
    uow.may(actor, "cache.read")
    return store.list_policies(uow.conn, actor.scope)


def delete_policy(uow: UnitOfWork, actor: Actor, route: str) -> None:
    """Let the route keep nothing from now on; what it kept goes too. Raises NotFound."""
    uow.may(actor, "cache.admin", route)
    if not store.delete_policy(uow.conn, actor.scope, route):
        raise NotFound(f"The route {route!r} has no cache.")
    store.purge(uow.conn, actor.scope, None if route == "*" else route)
    uow.audit(actor, "cache.delete", route)
    uow.bump(shared.PURGE_TOPIC)
    uow.bump(shared.TOPIC)


def purge(uow: UnitOfWork, actor: Actor, route: str | None = None) -> int:
    """Throw away what the project (or one route of it) keeps, in every process within about a second.

    Returns how many answers were in the table.
    """
    uow.may(actor, "cache.admin", route or "*")
    gone = store.purge(uow.conn, actor.scope, route)
    uow.audit(actor, "cache.purge", route or "*", answers=gone)
    uow.bump(shared.PURGE_TOPIC)
    return gone


def totals(uow: UnitOfWork, actor: Actor) -> tuple[int, int]:
    """Return how many answers the project keeps in the table, and the bytes they take."""
    uow.may(actor, "cache.read")
    return store.totals(uow.conn, actor.scope)


def policy_from_table(name: str, table: Mapping[str, Any]) -> CachePolicy:
    """Return the policy of a `[cache.NAME]` table; raises Invalid, naming what is wrong."""
    unknown = set(table) - set(_MEMBERS)
    if unknown:
        raise Invalid(
            f"The cache of {name!r} has no {', '.join(sorted(unknown))}.",
            hint=f"It has {', '.join(_MEMBERS)}.",
        )
    given = dict(table)
    embedder = given.pop("embedder", HASHED)
    if isinstance(embedder, str):
        embedder = {"provider": embedder}
    try:
        policy = msgspec.convert(given, CachePolicy, strict=True)
        chosen = msgspec.convert(embedder, Embedder)
    except msgspec.ValidationError as error:
        raise Invalid(f"The cache of {name!r} is not right: {error}.") from error
    return msgspec.convert(
        msgspec.to_builtins(policy) | {"embedder": msgspec.to_builtins(chosen)}, CachePolicy
    ).checked(name)


def plan(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """Return what applying the `[cache.NAME]` tables would do; raises Invalid for any that is not right."""
    uow.may(actor, "cache.admin", "apply")
    held = {each.route: each.policy for each in store.list_policies(uow.conn, actor.scope)}
    changes = []
    for name, table in tables.items():
        _check_route(name)
        policy = policy_from_table(name, table)
        old = held.get(name)
        action = "create" if old is None else "unchanged" if old == policy else "update"
        detail = f"{policy.mode}, {policy.ttl:g} s, per {policy.scope}"
        changes.append(Change(action=action, kind="cache", name=name, detail=detail))
    return changes


def apply(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """Bring the `[cache.NAME]` tables into force; validates all of them before it writes."""
    changes = plan(uow, actor, tables)
    for change in changes:
        if change.action != "unchanged":
            put_policy(uow, actor, change.name, policy_from_table(change.name, tables[change.name]))
    return changes
