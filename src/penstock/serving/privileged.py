"""Options that decide which program runs on the machine: only an administrator gives them."""

from typing import Any

from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.serving.model import DeploymentVersion
from penstock.serving.ports import Engine


def check_options(
    uow: UnitOfWork,
    actor: Actor,
    plugin: Engine,
    *,
    wanted: DeploymentVersion,
    before: DeploymentVersion | None,
) -> None:
    """Raise Denied when `wanted` has a privileged option, neither usual nor there `before`, and `actor` is no admin."""
    kept = before.options if before is not None and before.engine == wanted.engine else {}
    for name, usual in plugin.PRIVILEGED.items():
        value = wanted.options.get(name, usual)
        if _differs(value, usual) and _differs(value, kept.get(name, usual)):
            uow.may(actor, "deployments.admin", f"option {name}")


def _differs(one: Any, other: Any) -> bool:
    # What was stored comes back as lists.
    return (list(one) if isinstance(one, tuple) else one) != (
        list(other) if isinstance(other, tuple) else other
    )
