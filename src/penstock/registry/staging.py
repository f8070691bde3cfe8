"""The rules of stages: what stands against a move, and carrying one out. Asked by every door to a stage."""

from penstock.core import clock, ids, policy
from penstock.core.errors import Denied, Unavailable
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import store
from penstock.registry.events import StageMoved
from penstock.registry.model import Model, ModelVersion, Papers, Requirement, Stage
from penstock.registry.papers import store as papers_store
from penstock.registry.papers import verifying
from penstock.registry.papers.inheriting import SOURCE
from penstock.registry.stages import store as stages
from penstock.registry.stages.model import Paper, StageMove, StageRule

MOVE = "models.stage.write"
"""Asked of core.policy before every move; resource: `name@3:production`."""
_DEEPEST = 8
"""Exports of exports that are followed to the model whose rule counts."""
EVALUATED = "models.evaluated.write"
"""Asked when a rule wants evaluations; resource as above. Whoever keeps evaluations registers the check."""


def requirements(uow: UnitOfWork, actor: Actor, *, resource: str) -> tuple[str, tuple[Requirement, ...]]:
    """Return (reference, required evaluations) of a resource `name@3:production`."""
    ref, _, stage = resource.rpartition(":")
    version = _version(uow, actor, ref)
    rule = rule_of(uow, actor, version, Stage(stage)) if version else None
    return ref, rule.evaluations if rule else ()


def rule_of(uow: UnitOfWork, actor: Actor, version: ModelVersion, stage: Stage) -> StageRule | None:
    """Return the rule that a version has for `stage`: its model's own, else its source's, else that of all models.

    What was exported from a model is held to that model's rule, under whatever name.
    """
    found = None
    for _ in range(_DEEPEST):
        found = stages.rule_for(uow.conn, actor.scope, version.model, stage)
        if found is not None and found.model:
            return found
        of = [link.ref for link in version.lineage if (link.kind, link.role) == ("model_version", SOURCE)]
        source = _version(uow, actor, of[0]) if of else None
        if source is None:
            break
        version = source
    return found


def _version(uow: UnitOfWork, actor: Actor, ref: str) -> ModelVersion | None:
    name, _, number = ref.partition("@")
    model = store.get_model(uow.conn, actor.scope, name)
    if model is None or not number.isdecimal():
        return None
    return store.get_version(uow.conn, model, int(number))


def reasons(
    uow: UnitOfWork, actor: Actor, version: ModelVersion, stage: Stage, rule: StageRule | None
) -> list[str]:
    """Return what stands against moving the version to `stage` besides approvals; none: nothing does.

    Raises Unavailable when a rule wants evaluations and nobody is there who keeps them.
    """
    resource = f"{version.ref}:{stage}"
    found = policy.refusals(uow, actor, MOVE, resource)
    if rule is None:
        return found
    if rule.after and version.stage not in rule.after:
        found.append(f"It is in {version.stage}; {stage} is reached from {' or '.join(rule.after)}.")
    found += _missing_papers(uow, actor, version, rule.papers)
    if rule.evaluations:
        found += _unevaluated(uow, actor, resource)
    return found


def require_for_alias(uow: UnitOfWork, actor: Actor, version: ModelVersion, alias: str) -> None:
    """Raise Denied when an alias called like a stage lacks what this stage's rule wants.

    Evaluations are looked for; where the rule wants approvals, papers or an order too, the version must stand in the
    stage, since only moving it there asks for these.
    """
    if alias not in list(Stage):
        return
    rule = rule_of(uow, actor, version, Stage(alias))
    if rule is None:
        return
    found = _unevaluated(uow, actor, f"{version.ref}:{alias}") if rule.evaluations else []
    if (rule.approvals or rule.papers or rule.after) and version.stage is not Stage(alias):
        found.append(f"It is in {version.stage}; move it into {alias} first.")
    if found:
        raise Denied(
            f"The alias {alias!r} may not point at {version.ref}: {' '.join(found)}",
            hint="It is called like a stage, whose rule wants this: see `penstock models stages`.",
            details={"reasons": found},
        )


def _unevaluated(uow: UnitOfWork, actor: Actor, resource: str) -> list[str]:
    if not policy.asked(EVALUATED):
        stage = resource.rpartition(":")[2]
        raise Unavailable(
            f"The rule for {stage} wants evaluations, and nothing here can tell whether there are any.",
            hint="Use the penstock command or the server; a program calls penstock.app.policies.install().",
        )
    return policy.refusals(uow, actor, EVALUATED, resource)


def _missing_papers(
    uow: UnitOfWork, actor: Actor, version: ModelVersion, wanted: tuple[Paper, ...]
) -> list[str]:
    if not wanted:
        return []
    papers = papers_store.get_papers(uow.conn, version) or Papers()
    found: list[str] = []
    for paper in wanted:
        if paper is Paper.MANIFEST:
            found += verifying.verdict(uow, actor, version, papers).problems
        elif paper is Paper.SCAN:
            found += _scanned(papers)
        elif not getattr(papers, paper.value):
            found.append(f"Its {paper.value.replace('_', ' ')} is not stated.")
    return found


def _scanned(papers: Papers) -> list[str]:
    if papers.scan is None:
        return ["Its files were never scanned."]
    return [] if papers.scan["safe"] else ["The scan found files that can run code."]


def require(
    uow: UnitOfWork, actor: Actor, version: ModelVersion, stage: Stage, rule: StageRule | None
) -> None:
    """Raise Denied with all that stands against the move, besides approvals."""
    found = reasons(uow, actor, version, stage, rule)
    if found:
        raise Denied(
            f"{version.ref} may not move to {stage}: {' '.join(found)}",
            hint="See `penstock models stages` for the rules.",
            details={"reasons": found},
        )


def carry_out(
    uow: UnitOfWork,
    actor: Actor,
    model: Model,
    version: ModelVersion,
    move: StageMove,
    *,
    alone: bool = False,
) -> None:
    """Move the version, remember it and tell everybody; `alone` archives whatever else stands in the stage."""
    if alone:
        for number in store.numbers_in(uow.conn, model, move.stage):
            other = store.get_version(uow.conn, model, number)
            if other is not None and number != version.number:
                replaced = StageMove(
                    number=number,
                    stage=Stage.ARCHIVED,
                    previous=other.stage,
                    actor=move.actor,
                    at=clock.now(),
                    comment=f"replaced by {version.ref}",
                )
                carry_out(uow, actor, model, other, replaced)
    store.set_stage(uow.conn, version, move.stage)
    stages.insert_move(uow.conn, model, move, ids.new_id("mov"))
    more = {"approved_by": list(move.approved_by)} if move.approved_by else {}
    detail = {"stage": str(move.stage), "previous": str(move.previous), **more}
    uow.audit(actor, "models.set_stage", version.ref, **detail)
    event = StageMoved(
        model=model.name, number=version.number, stage=str(move.stage), previous=str(move.previous)
    )
    uow.publish(event, actor.scope)
