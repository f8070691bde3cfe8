"""The machine shared with training: the answer to a run that asks whether there is room for it."""

from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.serving import machine as hardware
from penstock.serving import planning, store
from penstock.serving.model import ReplicaState, Wanted
from penstock.serving.planning import Key, Machine
from penstock.serving.settings import ServingSettings
from penstock.training import service as training


def room(uow: UnitOfWork, _actor: Actor, _action: str, resource: str) -> str | None:
    """Return why the training run `resource` has to wait or give way, or None: a check of core.policy.

    Deployments count with the replicas that they have or wait for now. One that may go on is given its GPUs.
    """
    live = store.list_live(uow.conn)
    seen = store.list_replicas(uow.conn, [deployment.id for _, deployment, _ in live])
    wanted: list[Wanted] = []
    held: dict[Key, tuple[int, ...]] = {}
    for scope, deployment, versions in live:
        by_number = {version.number: version for version in versions}
        for replica in seen.get(deployment.id, ()):
            if replica.state is ReplicaState.STOPPED:
                continue
            version = by_number[replica.number]
            one = Wanted(scope=scope, deployment=deployment, version=version, position=replica.position)
            wanted.append(one)
            held[one.key] = replica.gpus
    memory = hardware.to_share(uow.home.settings.section(ServingSettings))
    machine = Machine(memory_bytes=memory, gpus=hardware.gpu_numbers())
    claims = training.standing(uow)
    found = planning.plan(wanted, machine, store.list_quotas(uow.conn), held, claims)
    if resource in found.waiting:
        return found.waiting[resource]
    for claim in claims.claims:
        if claim.run_id == resource:
            training.give_gpus(uow, claim, found.run_gpus.get(resource))
    return None
