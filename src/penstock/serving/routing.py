"""Telling the gateway: live addresses per version, and the route's weighted targets."""

from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.gateway import service as gateway
from penstock.gateway.model import LOCAL, Route, Target
from penstock.serving import keeper, store
from penstock.serving.model import Deployment, Replica, ReplicaState, shares


def sync(uow: UnitOfWork, scope: Scope, deployment: Deployment) -> None:
    """Bring the gateway's endpoints and routes in line with the replicas that are ready, in this transaction.

    Each adapter is a route of its own, `name:adapter`, to the replicas that have loaded it.
    """
    replicas = keeper.as_now(store.list_replicas(uow.conn, [deployment.id])[deployment.id])
    live = [replica for replica in replicas if replica.state is ReplicaState.READY]
    urls: dict[int, list[str]] = {replica.number: [] for replica in replicas}
    for replica in live:
        urls[replica.number].append(replica.url)
    patience, main = _patience(deployment), deployment.production
    if patience:
        urls.setdefault(main, [])
    for number, found in urls.items():
        waits = patience if number == main else 0.0
        gateway.set_endpoint(uow, deployment.endpoint(number), found, scope=scope, patience=waits)
    given = shares(deployment, {number: len(found) for number, found in urls.items()})
    targets = tuple(Target(LOCAL, deployment.endpoint(number), share) for number, share in given.items())
    gateway.put_route(uow, _system(scope), deployment.name, Route("weighted", targets))
    for name in deployment.policy.adapters:
        _sync_adapter(uow, scope, deployment, name, live=live)


def _sync_adapter(
    uow: UnitOfWork, scope: Scope, deployment: Deployment, name: str, *, live: list[Replica]
) -> None:
    """Route an adapter to the replicas of production that have it, or to others as long as none has."""
    have = [replica for replica in live if name in replica.adapters]
    main = [replica for replica in have if replica.number == deployment.production]
    endpoint = deployment.adapter(name)
    gateway.set_endpoint(uow, endpoint, [replica.url for replica in main or have], scope=scope)
    target = Target(LOCAL, endpoint, 1.0)
    gateway.put_route(uow, _system(scope), endpoint, Route("weighted", (target,)))


def _patience(deployment: Deployment) -> float:
    rule = deployment.policy.autoscale
    return 0.0 if rule is None else rule.patience


def forget_ended(home: Home) -> int:
    """Take the addresses of replicas out of service whose process has ended; returns of how many deployments.

    A server does this before it answers: after a `kill -9`, nobody is sent to what no longer listens.
    """
    with home.read() as uow:
        kept = store.list_kept(uow.conn)
    ended = {by for by in {by for _, _, by in kept} if keeper.has_ended(by)}
    found = {deployment.id: (scope, deployment) for scope, deployment, by in kept if by in ended}
    if found:
        with home.begin() as uow:
            for scope, deployment in found.values():
                current = store.get(uow.conn, scope, deployment.name)
                if current is not None:
                    sync(uow, scope, current)
    return len(found)


def clear(uow: UnitOfWork, scope: Scope, deployment: Deployment, number: int) -> None:
    """Take all addresses of a version out of service."""
    gateway.set_endpoint(uow, deployment.endpoint(number), [], scope=scope)
    for name in deployment.policy.adapters:
        gateway.set_endpoint(uow, deployment.adapter(name), [], scope=scope)


def drop_adapter(uow: UnitOfWork, scope: Scope, deployment: Deployment, name: str) -> None:
    """Delete an adapter's route and addresses."""
    gateway.set_endpoint(uow, deployment.adapter(name), [], scope=scope)
    _drop_route(uow, scope, deployment.adapter(name))


def remove(uow: UnitOfWork, scope: Scope, deployment: Deployment) -> None:
    """Delete the routes, and the addresses of every version that has replicas."""
    replicas = store.list_replicas(uow.conn, [deployment.id])[deployment.id]
    for number in {deployment.production, *(replica.number for replica in replicas)}:
        clear(uow, scope, deployment, number)
    for name in deployment.policy.adapters:
        drop_adapter(uow, scope, deployment, name)
    _drop_route(uow, scope, deployment.name)


def _drop_route(uow: UnitOfWork, scope: Scope, name: str) -> None:
    try:
        gateway.delete_route(uow, _system(scope), name)
    except NotFound:
        return  # somebody deleted the route by hand: it is gone, which is what was wanted


def _system(scope: Scope) -> Actor:
    return system_actor(scope)
