"""The part of the composition root that adds upper slices' checks to core.policy, and names to core.lineage.

Every process installs them.
"""

from typing import TYPE_CHECKING

from penstock.core import lineage, policy
from penstock.core.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.core.scope import Actor, Scope
    from penstock.core.uow import UnitOfWork
    from penstock.evals import stages
    from penstock.feedback import subjects as feedback
    from penstock.serving import service as serving
    from penstock.tracking import service as tracking
else:
    # Only a move to a stage whose rule wants evaluations needs it.
    stages = deferred("penstock.evals.stages")
    # And this, only lineage with a queue in it.
    feedback = deferred("penstock.feedback.subjects")
    # And this, only a training run.
    serving = deferred("penstock.serving.service")
    # And this, only lineage with a tracked run in it.
    tracking = deferred("penstock.tracking.service")


def _evaluated(uow: "UnitOfWork", actor: "Actor", action: str, resource: str) -> str | None:
    return stages.evaluated(uow, actor, action, resource)


def _room(uow: "UnitOfWork", actor: "Actor", action: str, resource: str) -> str | None:
    return serving.room(uow, actor, action, resource)


def _queues(uow: "UnitOfWork", scope: "Scope", ids: list[str]) -> "Mapping[str, str]":
    return feedback.queue_names(uow, scope, ids)


def _runs(uow: "UnitOfWork", scope: "Scope", ids: list[str]) -> "Mapping[str, str]":
    return tracking.run_names(uow, scope, ids)


def _logged(uow: "UnitOfWork", scope: "Scope", ids: list[str]) -> "Mapping[str, str]":
    return tracking.model_names(uow, scope, ids)


CHECKS: tuple[tuple[str, policy.Check], ...] = (
    ("models.evaluated.write", _evaluated),
    ("training.room.read", _room),
)
"""Action → check; the registry asks the first before a version enters a stage, training the second before a run."""


NAMERS: tuple[tuple[str, lineage.Namer], ...] = (
    ("queue", _queues),
    ("run", _runs),
    ("logged_model", _logged),
)
"""Kind of a thing in lineage → what tells its name where the reference is an id."""


def install() -> None:
    """Register every check and namer; doing it again changes nothing."""
    for action, check in CHECKS:
        policy.register(action, check)
    for kind, namer in NAMERS:
        lineage.name_kind(kind, namer)
