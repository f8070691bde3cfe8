"""The verbs of running deployments: update, scale, adapters, logs, quotas, manifests. What runs is in `service`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.children import tail
from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import service as registry
from penstock.serving import manifests, routing, service, store
from penstock.serving.model import (
    Autoscale,
    Deployment,
    Policy,
    Quota,
    check_priority,
    check_replicas,
)
from penstock.serving.runner import log_folder

ADAPTER = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
_LINE_BYTES = 400
MAX_LINES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLog:
    """The end of one replica's output."""

    replica: str
    """`VERSION.POSITION`."""
    lines: tuple[str, ...]


def update(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    changes: Mapping[str, Any],
    rolling: bool = True,
    priority: int | None = None,
) -> Deployment:
    """Change a deployment; what `changes` does not name (model, engine, replicas, options, memory_bytes, gpus) stays.

    With `rolling` the new version takes over replica by replica and the earlier one goes as it does; otherwise the
    earlier one goes on until the new one is ready, and stays warm. Changing only the number of replicas or the
    priority starts nothing anew. Raises NotFound, Invalid, and Conflict while a canary runs.
    """
    uow.may(actor, "deployments.write", name)
    live = service.find(uow, actor, name=name)
    current = service.production_of(uow, live)
    if priority is not None and priority != live.policy.priority:
        live = set_priority(uow, actor, name=name, priority=priority)
    if set(changes) == {"replicas"}:
        return scale(uow, actor, name=name, replicas=changes["replicas"])
    if not changes:
        return live
    known = ("model", "engine", "replicas", "options", "memory_bytes", "gpus")
    wanted = {each: getattr(current, each) for each in known} | dict(changes)
    if wanted["engine"] != current.engine and "options" not in changes:
        wanted["options"] = {}
    return service.deploy(uow, actor, name=name, **wanted, policy=replace(live.policy, rolling=rolling))


def scale(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    replicas: int | None = None,
    autoscale: Autoscale | None = None,
) -> Deployment:
    """Give the production version a fixed number of replicas, or a rule by which the number follows the load.

    Running replicas that are still wanted go on. Raises Invalid unless exactly one of the two is given, NotFound.
    """
    uow.may(actor, "deployments.write", name)
    if (replicas is None) == (autoscale is None):
        raise Invalid("Give either replicas, or min and max.")
    live = service.find(uow, actor, name=name)
    if replicas is not None:
        store.set_replicas(uow.conn, live, live.production, check_replicas(replicas))
    detail = {"replicas": replicas} if autoscale is None else msgspec.to_builtins(autoscale)
    changed = _with(live, replace(live.policy, autoscale=autoscale))
    return service.changed(uow, actor, changed, "scale", live.production, **detail)


def set_priority(uow: UnitOfWork, actor: Actor, *, name: str, priority: int) -> Deployment:
    """Say how important a deployment is where room is short; above 0 needs the role admin, as others give way.

    Raises Invalid, NotFound, Denied.
    """
    uow.may(actor, "deployments.admin" if check_priority(priority) > 0 else "deployments.write", name)
    live = service.find(uow, actor, name=name)
    changed = _with(live, replace(live.policy, priority=priority))
    return service.changed(uow, actor, changed, "priority", live.production, priority=priority)


def retry(uow: UnitOfWork, actor: Actor, *, name: str) -> Deployment:
    """Start replicas again that were given up or are pausing after a crash. Raises NotFound."""
    uow.may(actor, "deployments.write", name)
    live = service.find(uow, actor, name=name)
    changed = _with(live, replace(live.policy, attempt=live.policy.attempt + 1))
    return service.changed(uow, actor, changed, "retry", live.production)


def put_adapter(uow: UnitOfWork, actor: Actor, *, name: str, adapter: str, model: str) -> Deployment:
    """Serve a LoRA adapter (a registry reference) as `name:adapter`, on the running replicas, without a restart.

    Raises Invalid for a wrong name, a model that is no adapter or of another base, or an engine that cannot swap.
    """
    uow.may(actor, "deployments.write", name)
    if not ADAPTER.fullmatch(adapter):
        raise Invalid(
            f"{adapter!r} is not an adapter's name.",
            hint="Use lower-case letters, digits, and . _ -, at most 50, starting with a letter or digit.",
        )
    live = service.find(uow, actor, name=name)
    current = service.production_of(uow, live)
    if not service.load_engine(current.engine).ADAPTERS:
        raise Invalid(
            f"The engine {current.engine!r} cannot swap adapters.",
            hint="Use transformers or vllm, or deploy a merged model.",
        )
    found = registry.get(uow, actor, ref=model)
    if found.kind != "adapter":
        raise Invalid(f"{found.ref} is of kind {found.kind}, not an adapter.")
    if found.base is not None and found.base != current.model:
        raise Invalid(f"{found.ref} was trained on {found.base}; {name!r} serves {current.model}.")
    adapters = {**live.policy.adapters, adapter: found.ref}
    changed = _with(live, replace(live.policy, adapters=adapters))
    return service.changed(
        uow, actor, changed, "adapter", live.production, adapter=adapter, adapter_model=found.ref
    )


def delete_adapter(uow: UnitOfWork, actor: Actor, *, name: str, adapter: str) -> Deployment:
    """Stop serving an adapter: its route goes at once. Raises NotFound."""
    uow.may(actor, "deployments.write", name)
    live = service.find(uow, actor, name=name)
    if adapter not in live.policy.adapters:
        raise NotFound(f"{name!r} serves no adapter {adapter!r}.")
    routing.drop_adapter(uow, actor.scope, live, adapter)
    adapters = {key: ref for key, ref in live.policy.adapters.items() if key != adapter}
    changed = _with(live, replace(live.policy, adapters=adapters))
    return service.changed(uow, actor, changed, "adapter", live.production, adapter=adapter, removed=True)


def logs(
    uow: UnitOfWork, actor: Actor, *, name: str, replica: str = "", lines: int = 200
) -> list[ReplicaLog]:
    """Return the last `lines` of what the replicas of a deployment wrote; `replica` (`2.0`) names one.

    Raises NotFound for the deployment or a replica that never wrote anything.
    """
    uow.may(actor, "deployments.read", name)
    live = service.find(uow, actor, name=name)
    if not 1 <= lines <= MAX_LINES:
        raise Invalid(f"tail must be 1 to {MAX_LINES} lines, not {lines}.")
    files = _log_files(log_folder(uow.home.path, actor.scope), live.name)
    if replica and replica not in files:
        raise NotFound(f"There is no log of a replica {replica!r} of {name!r}.")
    chosen = {replica: files[replica]} if replica else files
    return [ReplicaLog(replica=key, lines=_last(path, lines)) for key, path in chosen.items()]


def _log_files(folder: Path, name: str) -> dict[str, Path]:
    pattern = re.compile(re.escape(name) + r"@(\d+)\.(\d+)\.log")
    files = folder.iterdir() if folder.is_dir() else ()
    found = [(match, path) for path in files if (match := pattern.fullmatch(path.name))]
    ordered = sorted(found, key=lambda each: (-int(each[0][1]), int(each[0][2])))
    return {f"{match[1]}.{match[2]}": path for match, path in ordered}


def _last(path: Path, lines: int) -> tuple[str, ...]:
    return tuple(tail(path, lines * _LINE_BYTES).splitlines()[-lines:])


def quota(uow: UnitOfWork, actor: Actor) -> Quota:
    """Return how much of the machine the project may take."""
    uow.may(actor, "deployments.read")
    return store.get_quota(uow.conn, actor.scope)


def set_quota(uow: UnitOfWork, actor: Actor, wanted: Quota) -> Quota:
    """Limit how much of the machine the project may take; replicas above that wait. Needs the role admin."""
    uow.may(actor, "deployments.admin")
    store.put_quota(uow.conn, actor.scope, wanted)
    uow.audit(actor, "deployments.quota", actor.scope.project, **msgspec.to_builtins(wanted))
    uow.bump(service.TOPIC)
    return wanted


def manifest(uow: UnitOfWork, actor: Actor, *, name: str, kind: str, image: str = "") -> str:
    """Return YAML that runs the production version elsewhere: `kubernetes` or `ray`. Raises Invalid, NotFound."""
    uow.may(actor, "deployments.read", name)
    live = service.find(uow, actor, name=name)
    return manifests.render(actor.scope, live, service.production_of(uow, live), kind=kind, image=image)


def _with(deployment: Deployment, policy: Policy) -> Deployment:
    return replace(deployment, policy=policy, updated_at=clock.now())
