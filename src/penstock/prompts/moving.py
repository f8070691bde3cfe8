"""Carrying out the move of a label, once it is allowed."""

from penstock.core import ids
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.prompts.events import LabelMoved
from penstock.prompts.labels import store
from penstock.prompts.model import LabelMove, Prompt

TOPIC = "prompts"
"""Revision that grows whenever what a label or a new version means has changed."""


def carry_out(uow: UnitOfWork, actor: Actor, prompt: Prompt, move: LabelMove) -> None:
    """Point the label where `move` says, remember it and tell everybody."""
    store.move_label(uow.conn, prompt, move, ids.new_id("mov"))
    more = {"approved_by": move.approved_by} if move.approved_by else {}
    target = f"{prompt.name}:{move.label}"
    if move.kind == "remove":
        uow.audit(actor, "prompts.remove_label", target, previous=move.previous)
    else:
        kind = {"kind": move.kind} if move.kind != "set" else {}
        version, previous = move.version, move.previous
        uow.audit(actor, "prompts.set_label", target, version=version, previous=previous, **kind, **more)
        moved = LabelMoved(prompt=prompt.name, label=move.label, number=version, previous=previous)
        uow.publish(moved, actor.scope)
    uow.bump(TOPIC)
