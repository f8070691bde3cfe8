"""Evaluating what a run made, and again whatever is exported from it: training figures and relatives never count."""

from collections.abc import Callable
from typing import Any

from penstock.core import jobs
from penstock.core.events import Envelope
from penstock.core.home import Home
from penstock.core.scope import Actor, system_actor
from penstock.core.uow import UnitOfWork
from penstock.evals import service as evals
from penstock.evals.suite import aimed_at
from penstock.evals.suites import service as suites
from penstock.registry import service as registry
from penstock.registry.model import Kind, ModelVersion
from penstock.training import steering
from penstock.training.model import TrainingRun
from penstock.training.recipe import parse
from penstock.training.registering import LINK_KIND

JOB_KIND = "training.judge"
"""Spec: `ref` of the version, `suite`."""
_DEEPEST = 8
_UNJUDGED = (Kind.MLFLOW,)


def take_version(uow: UnitOfWork, envelope: Envelope) -> None:
    """Queue the evaluation of a new version by the suite of the recipe that it comes from, if there is one.

    Subscribed to `registry.version_registered`. Trials of searches are judged by their search; what is exported from
    one is not.
    """
    actor = system_actor(envelope.scope)
    version = registry.get(uow, actor, ref=f"{envelope.data['model']}@{envelope.data['number']}")
    run = origin(uow, actor, version)
    if run is None or version.kind in _UNJUDGED:
        return
    if run.search is not None and any(link.kind == LINK_KIND for link in version.lineage):
        return
    suite = parse(run.recipe).judged_by()
    if suite:
        spec = {"ref": version.ref, "suite": suite}
        jobs.enqueue(uow, actor, JOB_KIND, spec, key=f"{version.ref}:{suite}")


def origin(uow: UnitOfWork, actor: Actor, version: ModelVersion) -> TrainingRun | None:
    """Return the run that made a version, or made what it was exported from; None when no run did."""
    for _ in range(_DEEPEST):
        runs = [link.ref for link in version.lineage if link.kind == LINK_KIND]
        if runs:
            return steering.get(uow, actor, run_id=runs[0])
        of = [
            link.ref
            for link in version.lineage
            if (link.kind, link.role) == (registry.LINK_KIND, registry.SOURCE)
        ]
        if not of:
            return None
        version = registry.get(uow, actor, ref=of[0])
    return None


def judge(
    home: Home,
    actor: Actor,
    *,
    ref: str,
    suite: str,
    progress: Callable[[dict[str, Any]], None],
    cancelled: Callable[[], bool],
) -> str:
    """Evaluate a version by a stored suite, unless a finished run is there; returns the evaluation's id.

    Raises NotFound without the suite, and what `evals.run` raises.
    """
    with home.read() as uow:
        version = registry.get(uow, actor, ref=ref)
        done = evals.newest(uow, actor, suite=suite, model=version.ref)
        stored = suites.get(uow, actor, name=suite)
        found = suites.load(uow, actor, suite)
    if done is not None:
        return done.id
    aimed = aimed_at(found, version.ref)
    key = f"{version.ref}:{suite}@{stored.version}"
    return evals.run(home, actor, suite=aimed, key=key, progress=progress, cancelled=cancelled).id
