"""What values a project's scores may have: set, list and delete score configs."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.feedback import store
from penstock.feedback.model import ScoreConfig, ScoreKind, check_config


def put_config(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    kind: str,
    low: float | None = None,
    high: float | None = None,
    options: Sequence[str] = (),
    description: str = "",
) -> ScoreConfig:
    """Say what values feedback called `name` may have from now on; what was given before stays as it is.

    `kind` is number (`low` and `high` included), categorical (`options`) or boolean. Raises Invalid for what does not
    fit together, and for the names whose values are fixed.
    """
    uow.may(actor, "feedback.write", name)
    try:
        known = ScoreKind(kind)
    except ValueError as error:
        raise Invalid(
            f"{kind!r} is not a kind of score.", hint="Use number, categorical or boolean."
        ) from error
    if len(description) > 2000:
        raise Invalid("A description has at most 2000 characters.")
    config = ScoreConfig(
        name=name, kind=known, low=low, high=high, options=tuple(options), description=description
    )
    config = replace(check_config(config), updated_at=clock.now())
    store.put_config(uow.conn, actor.scope, config)
    uow.audit(actor, "feedback.config", name, kind=str(known))
    return config


def list_configs(uow: UnitOfWork, actor: Actor) -> list[ScoreConfig]:
    """Return the project's score configs by name."""
    uow.may(actor, "feedback.read")
    return store.all_configs(uow.conn, actor.scope)


def get_config(uow: UnitOfWork, actor: Actor, *, name: str) -> ScoreConfig:
    """Return a score config; raises NotFound."""
    uow.may(actor, "feedback.read", name)
    found = store.config_named(uow.conn, actor.scope, name)
    if found is None:
        raise NotFound(f"There is no score config {name!r} in the project {actor.scope.project!r}.")
    return found


def delete_config(uow: UnitOfWork, actor: Actor, *, name: str) -> None:
    """Delete a score config: from then on the name takes any number. Raises NotFound."""
    uow.may(actor, "feedback.write", name)
    if not store.delete_config(uow.conn, actor.scope, name):
        raise NotFound(f"There is no score config {name!r} in the project {actor.scope.project!r}.")
    uow.audit(actor, "feedback.config_delete", name)
