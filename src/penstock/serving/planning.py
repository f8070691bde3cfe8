"""Which replicas and training runs shall go on on this machine: by what is wanted, by quota and by priority. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock.core.scope import Scope
from penstock.serving.model import MAX_REPLICAS, Deployment, DeploymentVersion, Quota, Wanted
from penstock.training.model import Claim, Claims, TrainingQuota

Key = tuple[str, int, int]
"""Deployment id, version number, position."""
NO_TRAINING = Claims(claims=(), quotas={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is to share."""

    memory_bytes: int
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who runs and who has to wait."""

    admitted: dict[Key, Wanted]
    gpus: dict[Key, tuple[int, ...]]
    """GPUs of the admitted."""
    refused: dict[Key, tuple[Wanted, str]]
    """Who has to wait, and why in one sentence."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Training runs that have to wait or give way, by id, and why."""
    run_gpus: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    """GPUs of the training runs that may go on, by id; None where the machine has none to give."""


@dataclass(slots=True)
class _Room:
    memory: int
    gpus: list[int]
    """Free for who comes next in order."""
    held: dict[Key | str, tuple[int, ...]]
    """By replicas and runs that go on, whether they may or have to give way."""
    there_are: int
    """GPUs of the machine."""
    used: dict[Scope, Quota] = field(default_factory=dict)
    runs: dict[Scope, int] = field(default_factory=dict)


def counts(
    deployment: Deployment,
    versions: Sequence[DeploymentVersion],
    ready: Mapping[int, int],
    *,
    scale: int | None,
    at: datetime,
) -> dict[int, int]:
    """Return version number → replicas that shall run at that moment.

    `scale` replaces the production version's own figure. In a rolling update the new version has one replica more
    than are ready, and each that is ready takes the place of one of the old.
    """
    by_number = {version.number: version for version in versions}
    found = {number: by_number[number].replicas for number in deployment.running(at)}
    full = found[deployment.production] if scale is None else scale
    found[deployment.production] = full
    previous = deployment.previous
    if previous is None or previous not in found or previous == deployment.candidate:
        return found
    if not full:
        del found[previous]  # nobody calls: nothing is kept warm either
    elif deployment.policy.rolling:
        new = ready.get(deployment.production, 0)
        found[deployment.production] = min(full, new + 1)
        found[previous] = max(0, min(full, found[previous]) - new)
    return found


def wanted(
    scope: Scope, deployment: Deployment, versions: Sequence[DeploymentVersion], found: Mapping[int, int]
) -> list[Wanted]:
    """Return one entry per replica."""
    by_number = {version.number: version for version in versions}
    return [
        Wanted(scope=scope, deployment=deployment, version=by_number[number], position=position)
        for number, count in found.items()
        for position in range(count)
    ]


def plan(
    everything: Sequence[Wanted],
    machine: Machine,
    quotas: Mapping[Scope, Quota],
    held: Mapping[Key, tuple[int, ...]],
    training: Claims = NO_TRAINING,
) -> Plan:
    """Give the machine out in order of priority; `held` are the GPUs of replicas that run, which they keep.

    Of equals, production comes before canaries, first replicas before second ones, older deployments before newer,
    and replicas before training runs, which can stop and go on without anybody waiting for an answer.
    """
    holding: dict[Key | str, tuple[int, ...]] = {
        claim.run_id: claim.held for claim in training.claims if claim.held
    }
    for key, own in held.items():
        holding[key] = own
    room = _Room(machine.memory_bytes, list(machine.gpus), holding, len(machine.gpus))
    admitted: dict[Key, Wanted] = {}
    gpus: dict[Key, tuple[int, ...]] = {}
    refused: dict[Key, tuple[Wanted, str]] = {}
    waiting: dict[str, str] = {}
    run_gpus: dict[str, tuple[int, ...] | None] = {}
    wanting: list[Wanted | Claim] = [*everything, *training.claims]
    for each in sorted(wanting, key=_order):
        if isinstance(each, Claim):
            quota = quotas.get(each.scope, Quota())
            if why := _claim(each, room, quota, training.quotas.get(each.scope, TrainingQuota())):
                waiting[each.run_id] = why
                continue
            run_gpus[each.run_id], why = _run_gpus(each, room)
            if why:
                waiting[each.run_id] = why
            continue
        why = _obstacle(each, room, quotas.get(each.scope, Quota()))
        if why:
            refused[each.key] = (each, why)
            continue
        admitted[each.key] = each
        gpus[each.key] = _take(each, room)
    return Plan(admitted=admitted, gpus=gpus, refused=refused, waiting=waiting, run_gpus=run_gpus)


def _order(each: Wanted | Claim) -> tuple[object, ...]:
    if isinstance(each, Claim):
        return (-each.priority, MAX_REPLICAS, True, each.since, each.run_id)
    deployment = each.deployment
    second = each.version.number != deployment.production
    return (-deployment.policy.priority, each.position, second, deployment.created_at, deployment.id)


def _claim(each: Claim, room: _Room, quota: Quota, limit: TrainingQuota) -> str:
    """Give a training run its place, or return why it has none."""
    used = room.used.get(each.scope, Quota(replicas=0, memory_bytes=0, gpus=0))
    memory, runs = (used.memory_bytes or 0) + each.memory_bytes, room.runs.get(each.scope, 0) + 1
    needed = each.needed(room.there_are)
    gpus = (used.gpus or 0) + needed
    if limit.runs is not None and runs > limit.runs:
        return f"The project's quota is {limit.runs} training runs at once."
    if each.memory_bytes and quota.memory_bytes is not None and memory > quota.memory_bytes:
        return f"The project's quota is {quota.memory_bytes} bytes of memory; this would make {memory}."
    if each.memory_bytes > room.memory:
        return f"It needs {each.memory_bytes} bytes of memory; {room.memory} are free on this machine."
    if needed and quota.gpus is not None and gpus > quota.gpus:
        return f"The project's quota is {quota.gpus} GPUs; this would make {gpus}."
    if needed > len(room.gpus):
        return f"It needs {needed} GPUs; {len(room.gpus)} are free on this machine."
    if needed and any(gpu not in room.gpus for gpu in each.held or ()):
        return "Its GPUs are needed by what comes before it."
    room.used[each.scope] = replace(used, memory_bytes=memory, gpus=gpus)
    room.runs[each.scope] = runs
    room.memory -= each.memory_bytes
    return ""


def _obstacle(each: Wanted, room: _Room, quota: Quota) -> str:
    memory, gpus = each.version.memory_bytes or 0, each.version.gpus
    used = room.used.get(each.scope, Quota(replicas=0, memory_bytes=0, gpus=0))
    limits = (
        (quota.replicas, (used.replicas or 0) + 1, "replicas"),
        (quota.memory_bytes, (used.memory_bytes or 0) + memory, "bytes of memory"),
        (quota.gpus, (used.gpus or 0) + gpus, "GPUs"),
    )
    for limit, needed, what in limits:
        if limit is not None and needed > limit:
            return f"The project's quota is {limit} {what}; this would make {needed}."
    if memory > room.memory:
        return f"It needs {memory} bytes of memory; {room.memory} are free on this machine."
    if gpus > len(room.gpus):
        return f"It needs {gpus} GPUs; {len(room.gpus)} are free on this machine."
    return ""


def _run_gpus(each: Claim, room: _Room) -> tuple[tuple[int, ...] | None, str]:
    """Return the GPUs of a run that has its place, and what it still waits for."""
    if not room.there_are:
        return None, ""
    found = _choose(each.run_id, each.needed(room.there_are), room)
    others = {gpu for key, gpus in room.held.items() if key != each.run_id for gpu in gpus}
    kept = [str(gpu) for gpu in found if gpu in others]
    return found, f"It waits until GPU {', '.join(kept)} is given back." if kept else ""


def _choose(key: Key | str, count: int, room: _Room) -> tuple[int, ...]:
    """Take so many GPUs from those that are free: its own, or else such as nobody holds first."""
    own = room.held.get(key, ())
    keeps = len(own) == count and all(gpu in room.gpus for gpu in own)
    others = {gpu for other, gpus in room.held.items() if other != key for gpu in gpus}
    free = sorted(room.gpus, key=lambda gpu: (gpu in others, gpu))
    found = own if keeps else tuple(free[:count])
    room.gpus = [gpu for gpu in room.gpus if gpu not in found]
    return found


def _take(each: Wanted, room: _Room) -> tuple[int, ...]:
    version = each.version
    used = room.used.get(each.scope, Quota(replicas=0, memory_bytes=0, gpus=0))
    room.used[each.scope] = Quota(
        replicas=(used.replicas or 0) + 1,
        memory_bytes=(used.memory_bytes or 0) + (version.memory_bytes or 0),
        gpus=(used.gpus or 0) + version.gpus,
    )
    room.memory -= version.memory_bytes or 0
    return _choose(each.key, version.gpus, room)
