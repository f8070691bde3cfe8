"""Whether a model's version has the evaluations that a stage wants: a suite's newest finished run counts."""

from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.evals import gating, store
from penstock.evals.model import EvalRun, GateRule
from penstock.registry import service as registry
from penstock.registry.model import Requirement


def evaluated(
    uow: UnitOfWork,
    actor: Actor,
    action: str,  # noqa: ARG001 - the form of a core.policy check
    resource: str,
) -> str | None:
    """Return why the evaluations that the stage's rule wants are not there, or None; a check of core.policy.

    `resource` is `name@3:production`. Only runs whose target is exactly that version count, never training figures.
    """
    ref, needs = registry.requirements(uow, actor, resource=resource)
    found = [why for need in needs if (why := _missing(uow, actor, ref, need))]
    return " ".join(found) or None


def _missing(uow: UnitOfWork, actor: Actor, ref: str, need: Requirement) -> str | None:
    run = store.newest_run(uow.conn, actor.scope, suite=need.suite, model=ref)
    if run is None:
        return f"The suite {need.suite!r} has not been run to its end on {ref}."
    if need.gate:
        decided = store.list_gates(uow.conn, actor.scope, run_id=run.id, before=None, limit=1)
        if not decided or not decided[0].passed:
            what = "was refused by its gate" if decided else "has not been through a gate"
            return f"The run {run.id} of {need.suite!r} {what}."
    return _short(run, need)


def _short(run: EvalRun, need: Requirement) -> str | None:
    rules = []
    if need.min is not None:
        rules.append(GateRule(metric=need.metric, bound=need.bound, min=need.min))
    if need.max is not None:
        rules.append(GateRule(metric=need.metric, bound=need.bound, max=need.max))
    checks = gating.evaluate(rules, run, gating.Against())
    failed = [check.reason for check in checks if not check.passed]
    return f"In {run.id} of {need.suite!r}: {' '.join(failed)}" if failed else None
