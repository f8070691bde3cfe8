"""Putting the model that a run made into the registry."""

from pathlib import Path
from typing import Any

from penstock.core.home import Home
from penstock.core.lineage import Link, neighbours
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import service as registry
from penstock.registry.model import Kind, ModelVersion
from penstock.training import inputs
from penstock.training.model import TrainingRun

LINK_KIND = "training_run"
_ROLE, _PREFIX = "run", "train_"


def registered(uow: UnitOfWork, actor: Actor, run: TrainingRun) -> ModelVersion | None:
    """Return the version that the run registered before it was killed, or None."""
    made = neighbours(uow.conn, actor.scope, LINK_KIND, run.id, direction="down", depth=1)
    refs = [edge.child_ref for edge in made if (edge.child_kind, edge.role) == (registry.LINK_KIND, _ROLE)]
    return registry.get(uow, actor, ref=refs[0]) if refs else None


def figures(version: ModelVersion) -> dict[str, Any]:
    """Return the run's metrics as its version tells them."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in version.metrics.items()
        if name.startswith(_PREFIX)
    }


def register(
    home: Home,
    actor: Actor,
    run: TrainingRun,
    start_version: ModelVersion,
    *,
    result: dict[str, Any],
    metrics: dict[str, Any],
) -> ModelVersion:
    """Register what the run made, linked to its data, its start and itself; returns the version.

    `result` is the trainer's, with `folder`, `kind` and `trained_parameters`; `metrics` are stored as `train_…`.
    """
    adapter = result["kind"] == "adapter"
    complete = start_version.base if start_version.kind is Kind.ADAPTER else start_version.ref
    lineage = [Link("dataset_version", run.dataset, "training data"), Link(LINK_KIND, run.id, _ROLE)]
    lineage += inputs.links(run.recipe)
    if start_version.ref != complete or not adapter:
        lineage.append(Link(registry.LINK_KIND, start_version.ref, "start"))
    return registry.register(
        home,
        actor,
        name=run.name,
        folder=Path(result["folder"]),
        kind="adapter" if adapter else "merged",
        base=complete,
        lineage=lineage,
        metrics={f"{_PREFIX}{name}": value for name, value in metrics.items()},
        card_extra={
            "description": run.recipe["note"],
            "method": run.method,
            "training_run": run.id,
            "recipe": run.recipe,
            "trained_parameters": result["trained_parameters"],
            **result.get("card", {}),
        },
    )
