"""The verbs of tags, by which models are found again."""

from penstock.core.errors import NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import store
from penstock.registry.model import Model, check_tag
from penstock.registry.service import find


def tag(uow: UnitOfWork, actor: Actor, *, name: str, tag: str) -> Model:
    """Put a tag on a model; twice is harmless. Raises NotFound, Invalid."""
    uow.may(actor, "models.write", name)
    if store.add_tag(uow.conn, find(uow, actor, name=name), check_tag(tag)):
        uow.audit(actor, "models.tag", name, tag=tag)
    return find(uow, actor, name=name)


def untag(uow: UnitOfWork, actor: Actor, *, name: str, tag: str) -> Model:
    """Take a tag away; raises NotFound when the model does not carry it."""
    uow.may(actor, "models.write", name)
    if not store.remove_tag(uow.conn, find(uow, actor, name=name), tag):
        raise NotFound(f"The model {name!r} has no tag {tag!r}.")
    uow.audit(actor, "models.untag", name, tag=tag)
    return find(uow, actor, name=name)
