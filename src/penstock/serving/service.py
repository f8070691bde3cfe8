"""The verbs of serving: the only door into this slice. They change what shall run; the reconciler makes it so."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from penstock.core import clock, ids, plugins
from penstock.core.errors import Cancelled, Conflict, Invalid, NotFound, Unavailable
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import service as registry
from penstock.serving import compare, keeper, routing, store
from penstock.serving.compare import CanaryReport
from penstock.serving.events import DeploymentChanged
from penstock.serving.model import (
    Deployment,
    DeploymentVersion,
    HistoryEntry,
    Policy,
    ReplicaState,
    Status,
    VersionStatus,
    check_name,
    check_replicas,
    check_weight,
    shares,
    sized,
)
from penstock.serving.ports import Engine
from penstock.serving.privileged import check_options
from penstock.serving.routing import forget_ended as forget_ended
from penstock.serving.settings import ServingSettings
from penstock.serving.sharing import room as room
from penstock.traces import service as traces

TOPIC = "serving"
DEFAULT_ENGINE = "llamacpp"
_LOOK_SECONDS = 0.1
_GIVE_UP_AFTER = 3


def load_engine(name: str) -> Engine:
    """Return the engine plug-in of that name; raises Invalid with a suggestion."""
    engine: Engine = plugins.load("engines", name)()
    return engine


def deploy(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    model: str,
    engine: str = DEFAULT_ENGINE,
    replicas: int = 1,
    options: dict[str, Any] | None = None,
    memory_bytes: int | None = None,
    gpus: int | None = None,
    policy: Policy | None = None,
) -> Deployment:
    """Let `model` (a registry reference) answer under `name`, replacing what answered before once it is ready.

    The gateway's route `name` is made and kept. Asking again for what is in production changes nothing. Raises
    Conflict while a canary runs, Invalid for a model the engine cannot run or a wrong option, NotFound for the model.
    """
    uow.may(actor, "deployments.write", check_name(name))
    made = _version(uow, actor, model=model, engine=engine, replicas=replicas, options=options)
    wanted = sized(made, memory_bytes, gpus)
    current = store.get(uow.conn, actor.scope, name, removed=True)
    live = store.get(uow.conn, actor.scope, name)
    before = production_of(uow, live) if live else None
    check_options(uow, actor, load_engine(engine), wanted=wanted, before=before)
    if live is not None and before is not None:
        if live.candidate is not None:
            raise Conflict(f"{name!r} has a canary running.", hint="Promote it or roll it back first.")
        if _same(before, wanted):
            return live
        if live.policy.adapters and before.model != wanted.model:
            raise Conflict(
                f"{name!r} serves adapters of {before.model}: {', '.join(sorted(live.policy.adapters))}.",
                hint="Remove them first: penstock deploy adapter NAME ADAPTER --delete",
            )
    moment, deployment_id = clock.now(), current.id if current else ids.new_id("dep")
    number = _add_version(uow, actor, name, deployment_id, wanted)
    deployment = Deployment(
        id=deployment_id,
        name=name,
        production=number,
        candidate=None,
        weight=0.0,
        previous=_stand_in(uow, live) if live else None,
        previous_until=_keep_until(uow, moment) if live else None,
        created_at=current.created_at if current else moment,
        updated_at=moment,
        policy=policy or (replace(live.policy, rolling=False) if live else Policy()),
    )
    return changed(uow, actor, deployment, "deploy", number, model=wanted.model)


def _stand_in(uow: UnitOfWork, live: Deployment) -> int:
    """The version that answers now: production, unless it never became ready and an earlier one still does."""
    production = _statuses(uow, [live])[0].production
    return live.production if production.ready or live.previous is None else live.previous


def _add_version(
    uow: UnitOfWork, actor: Actor, name: str, deployment_id: str, version: DeploymentVersion
) -> int:
    number = store.last_number(uow.conn, deployment_id) + 1
    if not store.insert_version(uow.conn, deployment_id, replace(version, number=number)):
        raise Conflict(f"Somebody else just changed {name!r}.", hint="Look at it and try again.")
    link = Link(registry.LINK_KIND, version.model, "serves")
    uow.link(actor.scope, ("deployment", f"{name}@{number}"), [link])
    return number


def canary(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    model: str,
    weight: float = 0.1,
    replicas: int | None = None,
    options: dict[str, Any] | None = None,
) -> Deployment:
    """Start `model` beside production and give it `weight` (0 to below 1) of the traffic once it is ready.

    Engine, replicas and options are production's unless given. For a model that is the canary already only the
    weight changes; another canary is replaced. Raises NotFound, Invalid, and Conflict for production's own model.
    """
    uow.may(actor, "deployments.write", name)
    check_weight(weight)
    deployment = find(uow, actor, name=name)
    base = _of(uow, deployment, deployment.production)
    wanted = _version(
        uow,
        actor,
        model=model,
        engine=base.engine,
        replicas=base.replicas if replicas is None else replicas,
        options=base.options if options is None else options,
    )
    check_options(uow, actor, load_engine(base.engine), wanted=wanted, before=base)
    if _same(base, wanted):
        raise Conflict(
            f"{wanted.model} is what {name!r} has in production.", hint="Give another model version."
        )
    number = deployment.candidate
    if number is None or not _same(_of(uow, deployment, number), wanted):
        number = _add_version(uow, actor, name, deployment.id, wanted)
    tried = replace(deployment, candidate=number, weight=weight, updated_at=clock.now())
    return changed(uow, actor, tried, "canary", number, model=wanted.model, weight=weight)


def promote(uow: UnitOfWork, actor: Actor, *, name: str) -> Deployment:
    """Make the canary production; the version before is kept warm for a rollback.

    Raises Conflict when there is no canary, or none of its replicas is ready.
    """
    uow.may(actor, "deployments.promote.write", name)
    found = status(uow, actor, name=name)
    deployment = found.deployment
    if deployment.candidate is None:
        raise Conflict(f"{name!r} has no canary to promote.", hint="Start one with `penstock deploy canary`.")
    if not found.of(deployment.candidate).ready:
        raise Conflict(
            f"The canary of {name!r} has no replica that is ready.", hint="See `penstock deploy status`."
        )
    moved = _moved(uow, deployment, deployment.candidate)
    return changed(uow, actor, moved, "promote", moved.production, previous=deployment.production)


def rollback(uow: UnitOfWork, actor: Actor, *, name: str) -> Deployment:
    """Give up the canary, or without one go back to the version that was in production before.

    Takes effect in this transaction when that version is still warm. Raises Conflict when there is nothing to go
    back to.
    """
    uow.may(actor, "deployments.write", name)
    found = status(uow, actor, name=name)
    deployment = found.deployment
    if deployment.candidate is not None:
        without = replace(deployment, candidate=None, weight=0.0, updated_at=clock.now())
        return changed(uow, actor, without, "rollback", without.production, canary=deployment.candidate)
    if deployment.previous is None:
        raise Conflict(f"{name!r} has no earlier version to go back to.")
    moved = _moved(uow, deployment, deployment.previous)
    if not found.production.ready:  # what did not answer is not kept warm
        moved = replace(moved, previous_until=moved.updated_at)
    return changed(uow, actor, moved, "rollback", moved.production, previous=deployment.production)


def _moved(uow: UnitOfWork, deployment: Deployment, production: int) -> Deployment:
    moment = clock.now()
    return replace(
        deployment,
        production=production,
        candidate=None,
        weight=0.0,
        previous=deployment.production,
        previous_until=_keep_until(uow, moment),
        updated_at=moment,
        policy=replace(deployment.policy, rolling=False),
    )


def remove(uow: UnitOfWork, actor: Actor, *, name: str) -> None:
    """Stop answering under `name`: its route goes at once, its replicas end. Version numbers are never used again."""
    uow.may(actor, "deployments.write", name)
    deployment = find(uow, actor, name=name)
    moment = clock.now()
    routing.remove(uow, actor.scope, deployment)
    gone = replace(
        deployment, candidate=None, weight=0.0, previous=None, previous_until=None, updated_at=moment
    )
    store.save(uow.conn, actor.scope, gone, removed_at=moment)
    _record(uow, actor, gone, "remove", gone.production, {})


def find(uow: UnitOfWork, actor: Actor, *, name: str) -> Deployment:
    """Return the deployment; raises NotFound."""
    uow.may(actor, "deployments.read", name)
    found = store.get(uow.conn, actor.scope, name)
    if found is None:
        raise NotFound(f"There is no deployment {name!r} in the project {actor.scope.project!r}.")
    return found


def list_deployments(uow: UnitOfWork, actor: Actor, *, after: str = "", limit: int = 100) -> list[Status]:
    """Return deployments by name, after the name `after`, each with what was last seen of it."""
    uow.may(actor, "deployments.read")
    found = store.list_deployments(uow.conn, actor.scope, after=after, limit=limit)
    return _statuses(uow, found)


def status(uow: UnitOfWork, actor: Actor, *, name: str) -> Status:
    """Return the deployment as wanted and as last seen; raises NotFound."""
    return _statuses(uow, [find(uow, actor, name=name)])[0]


def _statuses(uow: UnitOfWork, found: list[Deployment]) -> list[Status]:
    ids_ = [deployment.id for deployment in found]
    versions, replicas = store.list_versions(uow.conn, ids_), store.list_replicas(uow.conn, ids_)
    out = []
    for deployment in found:
        seen = keeper.as_now(replicas[deployment.id])
        ready = Counter(replica.number for replica in seen if replica.state is ReplicaState.READY)
        given = shares(deployment, ready)
        entries = tuple(
            VersionStatus(
                version=version,
                part=deployment.part(version.number),
                share=given.get(version.number, 0.0) if ready.get(version.number) else 0.0,
                replicas=tuple(replica for replica in seen if replica.number == version.number),
            )
            for version in versions[deployment.id]
        )
        out.append(Status(deployment=deployment, versions=entries))
    return out


def history(uow: UnitOfWork, actor: Actor, *, name: str, limit: int = 100) -> list[HistoryEntry]:
    """Return what was done to the deployment, newest first."""
    return store.list_history(uow.conn, find(uow, actor, name=name).id, limit)


def canary_report(uow: UnitOfWork, actor: Actor, *, name: str, since: datetime | None = None) -> CanaryReport:
    """Compare canary and production by the calls of both since the canary began (or since `since`).

    Raises Conflict when there is no canary. Counts come from the recorded traces, so the newest calls appear after
    the recorder has written them (about a second).
    """
    deployment = find(uow, actor, name=name)
    if deployment.candidate is None:
        raise Conflict(f"{name!r} has no canary to compare.", hint="Start one with `penstock deploy canary`.")
    candidate = _of(uow, deployment, deployment.candidate)
    start = since or candidate.created_at
    rows = {row.group: row for row in traces.usage(uow, actor, group_by="model", since=start)}
    sides = [
        compare.side(deployment.part(version.number), endpoint, version.model, rows.get(endpoint))
        for version in (_of(uow, deployment, deployment.production), candidate)
        for endpoint in [deployment.endpoint(version.number)]
    ]
    return compare.report(name, start, *sides)


def _version(
    uow: UnitOfWork, actor: Actor, *, model: str, engine: str, replicas: int, options: dict[str, Any] | None
) -> DeploymentVersion:
    plugin = load_engine(engine)
    checked = plugin.check(options or {})
    found = registry.get(uow, actor, ref=model)
    if found.kind not in plugin.ACCEPTS:
        raise Invalid(
            f"The engine {engine!r} runs models of kind {', '.join(sorted(plugin.ACCEPTS))}; "
            f"{found.ref} is of kind {found.kind}.",
            hint=f"Convert it first: penstock models export {found.ref} --format gguf",
        )
    return DeploymentVersion(
        number=0,
        model=found.ref,
        engine=engine,
        replicas=check_replicas(replicas),
        options=checked,
        author=actor.name,
        created_at=clock.now(),
    )


def production_of(uow: UnitOfWork, deployment: Deployment) -> DeploymentVersion:
    """Return the version in production."""
    return _of(uow, deployment, deployment.production)


def _of(uow: UnitOfWork, deployment: Deployment, number: int) -> DeploymentVersion:
    versions = store.list_versions(uow.conn, [deployment.id])[deployment.id]
    return next(version for version in versions if version.number == number)


def _same(one: DeploymentVersion, other: DeploymentVersion) -> bool:
    return replace(one, number=0, author="", created_at=other.created_at) == replace(
        other, number=0, author=""
    )


def _keep_until(uow: UnitOfWork, moment: datetime) -> datetime:
    return moment + timedelta(seconds=uow.home.settings.section(ServingSettings).keep_previous)


def changed(
    uow: UnitOfWork, actor: Actor, deployment: Deployment, action: str, number: int, **detail: Any
) -> Deployment:
    """Store a changed deployment, tell the gateway, and record what was done."""
    store.save(uow.conn, actor.scope, deployment)
    routing.sync(uow, actor.scope, deployment)
    _record(uow, actor, deployment, action, number, detail)
    return deployment


def _record(
    uow: UnitOfWork, actor: Actor, deployment: Deployment, action: str, number: int, detail: dict[str, Any]
) -> None:
    entry = HistoryEntry(action=action, number=number, detail=detail, actor=actor.name, at=clock.now())
    store.add_history(uow.conn, deployment.id, entry, ids.new_id("dhs"))
    uow.audit(actor, f"deployments.{action}", deployment.endpoint(number), **detail)
    model = _of(uow, deployment, number).model
    event = DeploymentChanged(deployment=deployment.name, action=action, number=number, model=model)
    uow.publish(event, actor.scope)
    uow.bump(TOPIC)


def _never() -> bool:
    return False


def until_ready(
    home: Home,
    actor: Actor,
    *,
    name: str,
    number: int | None = None,
    timeout: float = 120.0,
    cancelled: Callable[[], bool] = _never,
) -> Status:
    """Return once a replica of version `number` (default: production) is ready.

    Needs a running reconciler (`penstock up`). Raises Unavailable with the replica's reason when it failed three
    times or nothing happened within `timeout` seconds, NotFound, Cancelled.
    """
    deadline, pause = clock.monotonic() + timeout, threading.Event()
    while True:
        with home.read() as uow:
            seen_status = status(uow, actor, name=name)
        wanted = seen_status.deployment.production if number is None else number
        seen = seen_status.of(wanted)
        if seen.ready:
            return seen_status
        failed = [replica for replica in seen.replicas if replica.state is ReplicaState.FAILED]
        if any(replica.restarts >= _GIVE_UP_AFTER for replica in failed):
            raise Unavailable(f"{seen_status.deployment.endpoint(wanted)} does not start: {failed[0].reason}")
        if cancelled():
            raise Cancelled(f"Waiting for {name!r} was cancelled.")
        if clock.monotonic() > deadline:
            why = failed[0].reason if failed else "no engine has been started"
            raise Unavailable(
                f"{seen_status.deployment.endpoint(wanted)} was not ready within {timeout:g} seconds: {why}.",
                hint="Is `penstock up` running for this home?",
            )
        pause.wait(_LOOK_SECONDS)
