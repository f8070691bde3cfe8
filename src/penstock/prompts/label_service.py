"""The verbs of protected labels and of rolling back."""

from dataclasses import replace

from penstock.core import clock, ids
from penstock.core.auth import service as auth
from penstock.core.errors import Conflict, Denied, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.prompts import service
from penstock.prompts.events import LabelRequestDecided, LabelRequested
from penstock.prompts.labels import store
from penstock.prompts.model import (
    LabelMove,
    LabelRequest,
    Prompt,
    RequestState,
    check_label,
)
from penstock.prompts.moving import carry_out

_PAGE = 200


def protect(uow: UnitOfWork, actor: Actor, *, name: str, label: str) -> Prompt:
    """Let `label` move only when somebody else approves; needs the role admin. Twice is harmless."""
    uow.may(actor, "prompts.protection.admin", f"{name}:{label}")
    prompt = service.find(uow, actor, name=name)
    if store.protect(uow.conn, prompt, check_label(label), actor.name, clock.now()):
        uow.audit(actor, "prompts.protect", f"{name}:{label}")
    return service.find(uow, actor, name=name)


def unprotect(uow: UnitOfWork, actor: Actor, *, name: str, label: str) -> Prompt:
    """Let `label` move freely again; needs the role admin. Raises NotFound when it is not protected."""
    uow.may(actor, "prompts.protection.admin", f"{name}:{label}")
    prompt = service.find(uow, actor, name=name)
    if not store.unprotect(uow.conn, prompt, check_label(label)):
        raise NotFound(f"The label {label!r} of {name!r} is not protected.")
    uow.audit(actor, "prompts.unprotect", f"{name}:{label}")
    return service.find(uow, actor, name=name)


def point(
    uow: UnitOfWork, actor: Actor, *, name: str, label: str, version: int, note: str = ""
) -> Prompt | LabelRequest:
    """Point `label` at `version`; for a protected label return the request that somebody else must approve.

    Asking for the same again returns the open request. Raises NotFound, Invalid.
    """
    prompt, _ = service.movable(uow, actor, name=name, label=label, version=version)
    if label not in prompt.protected or prompt.labels.get(label) == version:
        return service.set_label(uow, actor, name=name, label=label, version=version, note=note)
    waiting = store.find_requests(uow.conn, actor.scope, prompt=prompt, state=RequestState.OPEN, limit=_PAGE)
    for each in waiting:
        if (each.label, each.version, each.asker_id) == (label, version, actor.id):
            return each
    request = LabelRequest(
        id=ids.new_id("prq"),
        prompt=name,
        label=label,
        version=version,
        previous=prompt.labels.get(label),
        state=RequestState.OPEN,
        note=note,
        asked_by=actor.name,
        asker_id=actor.id,
        asked_at=clock.now(),
    )
    store.insert_request(uow.conn, actor.scope, prompt, request)
    uow.audit(actor, "prompts.ask", f"{name}:{label}", version=version, request=request.id)
    asked = LabelRequested(request=request.id, prompt=name, label=label, number=version, asked_by=actor.name)
    uow.publish(asked, actor.scope)
    return request


def list_requests(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str | None = None,
    state: RequestState | None = None,
    limit: int = 100,
) -> list[LabelRequest]:
    """Return requests of one prompt or of the project, newest first."""
    uow.may(actor, "prompts.read", name or "")
    prompt = service.find(uow, actor, name=name) if name is not None else None
    return store.find_requests(uow.conn, actor.scope, prompt=prompt, state=state, limit=limit)


def approve(uow: UnitOfWork, actor: Actor, *, id: str, reason: str = "") -> LabelRequest:
    """Carry out a request of somebody else.

    Raises Denied for one's own, a key standing for the person who made it; Conflict when it is decided already or the
    label has moved since it was asked for.
    """
    request = _open(uow, actor, id)
    if auth.same_person(uow, actor, request.asker_id):
        raise Denied("You asked for this yourself.", hint="Somebody else must approve it.")
    prompt, _ = service.movable(uow, actor, name=request.prompt, label=request.label, version=request.version)
    previous = prompt.labels.get(request.label)
    if previous != request.previous:
        raise Conflict(
            f"The label {request.label!r} has moved since this was asked for.",
            hint="Reject it and ask again.",
        )
    decided = _decided(uow, actor, request, RequestState.APPROVED, reason)
    move = LabelMove(
        label=request.label,
        version=request.version,
        previous=previous,
        actor=request.asked_by,
        at=clock.now(),
        note=request.note,
        approved_by=actor.name,
    )
    carry_out(uow, actor, prompt, move)
    service.check_includes(uow, actor, name=request.prompt, version=request.version)
    return decided


def reject(uow: UnitOfWork, actor: Actor, *, id: str, reason: str = "") -> LabelRequest:
    """Turn a request down; whoever asked may take it back this way. Raises Conflict when it is decided already."""
    uow.may(actor, "prompts.label.write", id)
    return _decided(uow, actor, _open(uow, actor, id), RequestState.REJECTED, reason)


def _open(uow: UnitOfWork, actor: Actor, id: str) -> LabelRequest:
    uow.may(actor, "prompts.read", id)
    found = store.find_requests(uow.conn, actor.scope, id=id)
    if not found:
        raise NotFound(f"There is no request {id!r}.")
    if found[0].state is not RequestState.OPEN:
        raise Conflict(f"The request is {found[0].state} already, by {found[0].decided_by}.")
    return found[0]


def _decided(
    uow: UnitOfWork, actor: Actor, request: LabelRequest, state: RequestState, reason: str
) -> LabelRequest:
    decided = replace(request, state=state, decided_by=actor.name, decided_at=clock.now(), reason=reason)
    if not store.decide_request(uow.conn, actor.scope, decided):
        raise Conflict("Somebody else just decided this request.")
    verb = "approve" if state is RequestState.APPROVED else "reject"
    uow.audit(actor, f"prompts.{verb}", f"{request.prompt}:{request.label}", request=request.id)
    told = LabelRequestDecided(
        request=request.id, prompt=request.prompt, label=request.label, state=state.value, by=actor.name
    )
    uow.publish(told, actor.scope)
    return decided


def roll_back(uow: UnitOfWork, actor: Actor, *, name: str, label: str, note: str = "") -> Prompt:
    """Point `label` at the version it had before; again: at the one before that.

    At once for a protected label too: that version was live under the label before. Raises Conflict when there is
    nothing to go back to.
    """
    uow.may(actor, "prompts.label.write", f"{name}:{label}")
    prompt = service.find(uow, actor, name=name)
    previous = prompt.labels.get(check_label(label))
    if previous is None:
        raise NotFound(f"The prompt {name!r} has no label {label!r}.")
    version = _before(uow, prompt, label)
    if version is None:
        raise Conflict(f"The label {label!r} of {name!r} has pointed at nothing but {name}@{previous}.")
    move = LabelMove(
        label=label,
        version=version,
        previous=previous,
        actor=actor.name,
        at=clock.now(),
        kind="rollback",
        note=note,
    )
    carry_out(uow, actor, prompt, move)
    service.check_includes(uow, actor, name=name, version=version)
    return service.find(uow, actor, name=name)


def _before(uow: UnitOfWork, prompt: Prompt, label: str) -> int | None:
    """Return what the label pointed at before its current version, taken back moves left out.

    Read backwards, a rollback undoes the move before it that was not undone yet.
    """
    current, undone, oldest = prompt.labels[label], 0, None
    while True:
        page = store.label_history(uow.conn, prompt, _PAGE, label=label, before=oldest)
        for oldest, move in page:  # noqa: B007 - the next page begins before it
            if move.kind == "rollback":
                undone += 1
            elif move.kind == "remove":
                continue
            elif undone:
                undone -= 1
            elif move.version != current:
                return move.version
        if len(page) < _PAGE:
            return None
