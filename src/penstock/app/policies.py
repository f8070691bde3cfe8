"""The part of the composition root that adds upper slices' checks to core.policy; every process installs them."""

from typing import TYPE_CHECKING

from penstock.core import policy
from penstock.core.deferred import deferred

if TYPE_CHECKING:
    from penstock.core.scope import Actor
    from penstock.core.uow import UnitOfWork
    from penstock.evals import stages
    from penstock.serving import service as serving
else:
    # Only a move to a stage whose rule wants evaluations needs it.
    stages = deferred("penstock.evals.stages")
    # And this, only a training run.
    serving = deferred("penstock.serving.service")


def _evaluated(uow: "UnitOfWork", actor: "Actor", action: str, resource: str) -> str | None:
    return stages.evaluated(uow, actor, action, resource)


def _room(uow: "UnitOfWork", actor: "Actor", action: str, resource: str) -> str | None:
    return serving.room(uow, actor, action, resource)


CHECKS: tuple[tuple[str, policy.Check], ...] = (
    ("models.evaluated.write", _evaluated),
    ("training.room.read", _room),
)
"""Action → check; the registry asks the first before a version enters a stage, training the second before a run."""


def install() -> None:
    """Register every check; doing it again changes nothing."""
    for action, check in CHECKS:
        policy.register(action, check)
