"""Telling the gateway: live addresses per version, and the route's weighted targets."""

from penstock.core.errors import NotFound
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.gateway import service as gateway
from penstock.gateway.model import LOCAL, Route, Target
from penstock.serving import store
from penstock.serving.model import Deployment, ReplicaState, shares


def sync(uow: UnitOfWork, scope: Scope, deployment: Deployment) -> None:
    """Bring the gateway's endpoints and route in line with the replicas that are ready, in this transaction."""
    urls: dict[int, list[str]] = {}
    for replica in store.list_replicas(uow.conn, [deployment.id])[deployment.id]:
        urls.setdefault(replica.number, [])
        if replica.state is ReplicaState.READY:
            urls[replica.number].append(replica.url)
    for number, live in urls.items():
        gateway.set_endpoint(uow, deployment.endpoint(number), live, scope=scope)
    given = shares(deployment, {number: bool(live) for number, live in urls.items()})
    targets = tuple(Target(LOCAL, deployment.endpoint(number), share) for number, share in given.items())
    gateway.put_route(uow, _system(scope), deployment.name, Route("weighted", targets))


def clear(uow: UnitOfWork, scope: Scope, deployment: Deployment, number: int) -> None:
    """Take all addresses of a version out of service."""
    gateway.set_endpoint(uow, deployment.endpoint(number), [], scope=scope)


def remove(uow: UnitOfWork, scope: Scope, deployment: Deployment) -> None:
    """Delete the route, and the addresses of every version that has replicas."""
    for replica in store.list_replicas(uow.conn, [deployment.id])[deployment.id]:
        clear(uow, scope, deployment, replica.number)
    try:
        gateway.delete_route(uow, _system(scope), deployment.name)
    except NotFound:
        return  # somebody deleted the route by hand: it is gone, which is what was wanted


def _system(scope: Scope) -> Actor:
    return system_actor(scope)
