"""The verbs of stages: rules, moves, requests and their approval."""

from dataclasses import replace
from typing import Any

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import service, staging
from penstock.registry.events import StageRequestDecided, StageRequested
from penstock.registry.model import ModelVersion, Stage, check_text
from penstock.registry.stages import store
from penstock.registry.stages.model import (
    Approval,
    StageMove,
    StageRequest,
    StageRequestState,
    StageRule,
    Transition,
    check_rules,
)

_PAGE = 200


def rules(uow: UnitOfWork, actor: Actor) -> list[StageRule]:
    """Return the project's rules; a stage without one may be entered freely."""
    uow.may(actor, "models.read")
    return store.list_rules(uow.conn, actor.scope)


def set_rules(uow: UnitOfWork, actor: Actor, *, rules: list[Any]) -> list[StageRule]:
    """Replace the project's rules; needs the role admin. Raises Invalid for what is not a rule."""
    uow.may(actor, "models.stages.admin")
    try:
        found = check_rules(msgspec.convert(rules, list[StageRule]))
    except msgspec.ValidationError as error:
        raise Invalid(f"That is not a list of rules: {error}.", hint="See docs/models.md.") from error
    store.replace_rules(uow.conn, actor.scope, found)
    uow.audit(actor, "models.set_rules", actor.scope.project, rules=msgspec.to_builtins(found))
    return store.list_rules(uow.conn, actor.scope)


def transitions(uow: UnitOfWork, actor: Actor, *, ref: str) -> list[Transition]:
    """Return what stands against moving the version into each other stage, as of now."""
    version = service.get(uow, actor, ref=ref)
    found = []
    for stage in Stage:
        if stage is not version.stage:
            rule = staging.rule_of(uow, actor, version, stage)
            why = tuple(staging.reasons(uow, actor, version, stage, rule))
            found.append(Transition(stage=stage, reasons=why, approvals=rule.approvals if rule else 0))
    return found


def move(
    uow: UnitOfWork, actor: Actor, *, ref: str, stage: Stage | str, comment: str = ""
) -> ModelVersion | StageRequest:
    """Move a version to `stage`; where others must approve, return the request that waits for them.

    Asking for the same again returns the open request. Raises Denied with every reason that stands against it.
    """
    wanted = service.stage_named(stage)
    check_text(comment, "comment")
    version = service.get(uow, actor, ref=ref)
    uow.may(actor, staging.MOVE, f"{version.ref}:{wanted}")
    rule = staging.rule_of(uow, actor, version, wanted)
    if rule is None or not rule.approvals or version.stage is wanted:
        return service.set_stage(uow, actor, ref=version.ref, stage=wanted, comment=comment)
    staging.require(uow, actor, version, wanted, rule)
    waiting = store.list_requests(
        uow.conn, actor.scope, model=version.model, state=StageRequestState.OPEN, limit=_PAGE
    )
    for each in waiting:
        if (each.version, each.stage, each.asker_id) == (version.number, wanted, actor.id):
            return each
    request = StageRequest(
        id=ids.new_id("srq"),
        model=version.model,
        version=version.number,
        stage=wanted,
        previous=version.stage,
        state=StageRequestState.OPEN,
        comment=comment,
        asked_by=actor.name,
        asker_id=actor.id,
        asked_at=clock.now(),
    )
    store.insert_request(uow.conn, actor.scope, request)
    uow.audit(actor, "models.ask_stage", version.ref, stage=str(wanted), request=request.id)
    asked = StageRequested(
        request=request.id,
        model=version.model,
        number=version.number,
        stage=str(wanted),
        asked_by=actor.name,
    )
    uow.publish(asked, actor.scope)
    return request


def list_requests(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str | None = None,
    state: StageRequestState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[StageRequest]:
    """Return requests of one model or of the project, newest first."""
    uow.may(actor, "models.read", name or "")
    return store.list_requests(uow.conn, actor.scope, model=name, state=state, before=before, limit=limit)


def approve(uow: UnitOfWork, actor: Actor, *, id: str, reason: str = "") -> StageRequest:
    """Say yes to somebody else's request; the last yes that the rule wants carries the move out.

    Everything the rule asks for is checked again as it stands now. Raises Denied for one's own request, for a role
    below the rule's and for what stands against the move, Conflict when it is decided already or has moved since.
    """
    request = _open(uow, actor, id, reason)
    version = service.get(uow, actor, ref=request.ref)
    uow.may(actor, staging.MOVE, f"{version.ref}:{request.stage}")
    rule = staging.rule_of(uow, actor, version, request.stage)
    _may_approve(actor, request, rule)
    if version.stage is not request.previous:
        raise Conflict(
            f"{version.ref} has moved to {version.stage} since this was asked for.",
            hint="Reject it and ask again.",
        )
    staging.require(uow, actor, version, request.stage, rule)
    said = Approval(id=actor.id, by=actor.name, at=clock.now(), reason=reason)
    request = replace(request, approvals=(*request.approvals, said))
    if rule is not None and len(request.approvals) < rule.approvals:
        _keep(uow, actor, request)
        uow.audit(actor, "models.approve_stage", version.ref, request=request.id)
        return request
    decided = _decided(uow, actor, request, StageRequestState.APPROVED, reason)
    move = StageMove(
        number=version.number,
        stage=request.stage,
        previous=version.stage,
        actor=request.asked_by,
        at=clock.now(),
        comment=request.comment,
        approved_by=tuple(each.by for each in request.approvals),
    )
    model = service.find(uow, actor, name=version.model)
    staging.carry_out(uow, actor, model, version, move, alone=rule is not None and rule.alone)
    return decided


def _may_approve(actor: Actor, request: StageRequest, rule: StageRule | None) -> None:
    if request.asker_id == actor.id:
        raise Denied("You asked for this yourself.", hint="Somebody else must approve it.")
    if any(each.id == actor.id for each in request.approvals):
        raise Conflict("You have approved this already.", hint="It waits for somebody else.")
    if rule is not None and actor.role.rank < rule.role.rank:
        raise Denied(f"Only the role {rule.role} or above may approve moves to {request.stage}.")


def reject(uow: UnitOfWork, actor: Actor, *, id: str, reason: str = "") -> StageRequest:
    """Turn a request down; whoever asked may take it back this way. Raises Conflict when it is decided already."""
    uow.may(actor, "models.write", id)
    return _decided(uow, actor, _open(uow, actor, id, reason), StageRequestState.REJECTED, reason)


def _open(uow: UnitOfWork, actor: Actor, id: str, reason: str) -> StageRequest:
    check_text(reason, "reason")
    uow.may(actor, "models.read", id)
    found = store.find_request(uow.conn, actor.scope, id)
    if found is None:
        raise NotFound(f"There is no request {id!r}.")
    if found.state is not StageRequestState.OPEN:
        raise Conflict(f"The request is {found.state} already, by {found.decided_by}.")
    return found


def _keep(uow: UnitOfWork, actor: Actor, request: StageRequest) -> None:
    if not store.update_request(uow.conn, actor.scope, request):
        raise Conflict("Somebody else just decided this request.")


def _decided(
    uow: UnitOfWork, actor: Actor, request: StageRequest, state: StageRequestState, reason: str
) -> StageRequest:
    decided = replace(request, state=state, decided_by=actor.name, decided_at=clock.now(), reason=reason)
    _keep(uow, actor, decided)
    verb = "approve_stage" if state is StageRequestState.APPROVED else "reject_stage"
    uow.audit(actor, f"models.{verb}", request.ref, request=request.id)
    told = StageRequestDecided(
        request=request.id,
        model=request.model,
        number=request.version,
        stage=str(request.stage),
        state=state.value,
        by=actor.name,
    )
    uow.publish(told, actor.scope)
    return decided


def history(
    uow: UnitOfWork, actor: Actor, *, name: str, number: int | None = None, limit: int = 100
) -> list[StageMove]:
    """Return the moves of the model's versions, or of one version, newest first."""
    model = service.find(uow, actor, name=name)
    return store.list_moves(uow.conn, model, number=number, limit=limit)
