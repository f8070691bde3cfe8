"""The machine shared with training: the answer to a run that asks whether there is room for it."""

from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.serving import machine as hardware
from penstock.serving import planning, store
from penstock.serving.model import ReplicaState, Wanted
from penstock.serving.planning import Machine
from penstock.serving.settings import ServingSettings
from penstock.training import service as training


def room(uow: UnitOfWork, _actor: Actor, _action: str, resource: str) -> str | None:
    """Return why the training run `resource` has to wait or give way, or None: a check of core.policy.

    Deployments count with the replicas that they have or wait for now.
    """
    live = store.list_live(uow.conn)
    seen = store.list_replicas(uow.conn, [deployment.id for _, deployment, _ in live])
    wanted = []
    for scope, deployment, versions in live:
        by_number = {version.number: version for version in versions}
        wanted += [
            Wanted(
                scope=scope,
                deployment=deployment,
                version=by_number[replica.number],
                position=replica.position,
            )
            for replica in seen.get(deployment.id, ())
            if replica.state is not ReplicaState.STOPPED
        ]
    # GPUs are given out where replicas are started; here none of them shall be refused for want of one.
    gpus = tuple(range(sum(each.version.gpus for each in wanted)))
    machine = Machine(memory_bytes=hardware.to_share(uow.home.settings.section(ServingSettings)), gpus=gpus)
    found = planning.plan(
        wanted, machine, store.list_quotas(uow.conn), held={}, training=training.standing(uow)
    )
    return found.waiting.get(resource)
