"""What a release's judges may do: which models they are, what they spent, and when they are asked no more."""

from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.evals import service as evals
from penstock.gateway import service as gateway
from penstock.release import logbook
from penstock.release.model import LIVE, Judging, Plan, Release, Verb
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store


def check(uow: UnitOfWork, actor: Actor, plan: Plan) -> None:
    """Raise Invalid when a judge of the plan would be asked through the route that is released, or by way of it."""
    released = plan.subject.route or plan.subject.deployment
    for model in sorted(evals.judge_models(plan.judges, plan.judge)) if released else ():
        if released in _reached(uow, actor, model):
            raise Invalid(
                f"The judge {model!r} is what is released, or goes on to it: "
                "its own calls would be divided and judged too.",
                hint="Name a route of its own for the judge.",
            )


def _reached(uow: UnitOfWork, actor: Actor, model: str) -> set[str]:
    """Return the route of that name and all that its calls may go on to."""
    found, ahead = {model}, [model]
    while ahead:
        try:
            route = gateway.get_route(uow, actor, ahead.pop()).route
        except NotFound:
            continue  # a model elsewhere: the judge has a base_url of its own
        onward = {target.route for group in route.groups() for target in group if target.route} - found
        found |= onward
        ahead += onward
    return found


def stop(uow: UnitOfWork, scope: Scope, id: str, why: str) -> None:
    """Ask the release's judges no more, and say so in its log; what they said already counts."""
    release = store.get(uow.conn, scope, id, lock=True)
    if release is None or release.state not in LIVE or has_stopped(uow, release):
        return
    calls_store.forget_unjudged(uow.conn, release)
    reason = f"Answers are no longer judged. {why}"
    logbook.note(uow, system_actor(scope), release, Verb.STOP_JUDGING, reason, {})


def has_stopped(uow: UnitOfWork, release: Release) -> bool:
    """Return whether the release's judges are asked no more."""
    return store.has_decided(uow.conn, release, Verb.STOP_JUDGING)


def spent(uow: UnitOfWork, actor: Actor, release: Release) -> Judging | None:
    """Return what judging a release's answers has cost so far; None where nobody judges."""
    plan = release.plan
    if not plan.judges:
        return None
    paid = evals.spent(uow, actor, release.id)
    return Judging(
        share=plan.judge_share,
        calls=paid.answered,
        spent_usd=paid.likely_usd,
        cap_usd=plan.judge_usd,
        stopped=has_stopped(uow, release),
    )
