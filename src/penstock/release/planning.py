"""Plans as they are asked for, made whole or refused in words that help."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.core.deferred import deferred
from penstock.core.errors import Invalid
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.evals import service as evals
from penstock.evals.suites import service as suites
from penstock.gateway.model import LOCAL
from penstock.release.metrics import DEFAULTS, metric
from penstock.release.model import Kind, Metric, Plan, PlannedArm, Step, SubjectType

if TYPE_CHECKING:
    from penstock.core.statistics import sequential
else:
    sequential = deferred("penstock.core.statistics.sequential")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ARM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MOST_ARMS = 10
USUAL_STEPS = (Step(weight=0.05), Step(weight=0.25), Step(weight=0.5))
STICKY_BY = ("user", "session", "key", "call")
EVIDENCE = ("no_harm", "proven")
SAMPLERS = ("top_two", "track_and_stop")


def checked(plan: Plan) -> Plan:
    """Return the plan with everything that was left out; raises Invalid for what makes no sense."""
    if not _NAME.fullmatch(plan.name):
        raise Invalid(f"{plan.name!r} is not a name.", hint="Use letters, digits and . _ -, at most 100.")
    for given, known, what in (
        (plan.sticky_by, STICKY_BY, "sticky_by"),
        (plan.evidence, EVIDENCE, "evidence"),
        (plan.sampler, SAMPLERS, "sampler"),
    ):
        if given not in known:
            raise Invalid(f"{what} cannot be {given!r}.", hint=did_you_mean(given, known))
    if not 0.0001 <= plan.alpha <= 0.5:
        raise Invalid("alpha must be 0.0001 to 0.5.")
    if not 0 < plan.score_share <= 1:
        raise Invalid("score_share must be above 0 and at most 1.")
    plan = _judges_apart(plan)
    metrics = plan.metrics or tuple(metric(name) for name in DEFAULTS)
    names = [each.name for each in metrics]
    if len(set(names)) < len(names):
        raise Invalid("A metric is named twice.")
    if plan.goal and plan.goal not in names:
        raise Invalid(f"The goal {plan.goal!r} is none of the metrics.", hint=did_you_mean(plan.goal, names))
    _check_arms(plan)
    plan = replace(plan, metrics=metrics, steps=_steps(plan))
    _check_subject(plan)
    return plan


def with_suite(uow: UnitOfWork, actor: Actor, plan: Plan) -> Plan:
    """Return the plan with scorers and judge of the stored suite that it names, as they are now.

    Raises NotFound, Invalid where it has scorers of its own, Conflict where the suite is not the version named.
    """
    if not plan.suite:
        return plan
    if plan.scorers:
        raise Invalid("A release takes its scorers from a suite or names them, not both.")
    suite, ref = suites.pinned(uow, actor, ref=plan.suite)
    scorers = tuple({"name": each.name, **each.options} for each in suite.scorers)
    return replace(plan, suite=ref, scorers=scorers, judge=plan.judge or suite.judge)


def _judges_apart(plan: Plan) -> Plan:
    """Return the plan with those of its scorers apart that ask a model."""
    if not 0 < plan.judge_share <= 1 or not 0 < plan.judge_usd < math.inf:
        raise Invalid("judge_share must be above 0 and at most 1, and judge_usd above 0.")
    plain, judges = evals.parted_scorers((*plan.scorers, *plan.judges))
    if judges:
        evals.check_live_judges(judges, plan.judge, pairs=plan.kind is Kind.SHADOW)
    return replace(plan, scorers=plain, judges=judges)


def _check_arms(plan: Plan) -> None:
    names = [arm.name for arm in plan.arms]
    if not 2 <= len(names) <= MOST_ARMS:
        raise Invalid(f"A release has 2 to {MOST_ARMS} arms, the control first.")
    if plan.kind in (Kind.CANARY, Kind.SHADOW) and len(names) > 2:
        raise Invalid(f"A {plan.kind} release has two arms: the control and the new one.")
    for arm in plan.arms:
        if not _ARM.fullmatch(arm.name) or names.count(arm.name) > 1:
            raise Invalid(
                f"{arm.name!r} cannot name an arm.", hint="Use letters, digits and . _ -, each name once."
            )
        if not math.isfinite(arm.weight) or arm.weight <= 0:
            raise Invalid(f"The weight of the arm {arm.name!r} must be above 0.")


def _steps(plan: Plan) -> tuple[Step, ...]:
    if plan.kind not in (Kind.CANARY, Kind.SHADOW):
        if plan.steps:
            raise Invalid(f"A release of the kind {plan.kind} has no steps.")
        return ()
    steps = plan.steps or ((Step(weight=1.0),) if plan.kind is Kind.SHADOW else USUAL_STEPS)
    if plan.kind is Kind.SHADOW and len(steps) > 1:
        raise Invalid("A shadow release has one step.")
    weights = [step.weight for step in steps]
    top = 1.0 if plan.kind is Kind.SHADOW else 0.99
    if min(weights) <= 0 or max(weights) > top or sorted(set(weights)) != weights:
        raise Invalid(f"The weights of the steps must grow, from above 0 to at most {top:g}.")
    if any(step.min_calls < 1 or step.min_seconds < 0 for step in steps):
        raise Invalid("A step needs at least one call and no negative time.")
    return tuple(steps)


_NEEDS: Mapping[SubjectType, Sequence[str]] = {
    SubjectType.MODEL: ("model",),
    SubjectType.ROUTE: ("route",),
    SubjectType.PARAMS: ("params",),
    SubjectType.PROMPT: ("version",),
}


def _check_subject(plan: Plan) -> None:
    subject = plan.subject
    named = [each for each in (subject.route, subject.deployment, subject.prompt) if each]
    wanted = "a prompt" if subject.type is SubjectType.PROMPT else "a route"
    if len(named) != 1 or bool(subject.prompt) != (subject.type is SubjectType.PROMPT):
        also = " or a deployment" if subject.type is SubjectType.MODEL else ""
        raise Invalid(f"A release of the type {subject.type} names {wanted}{also}, and nothing else.")
    if subject.deployment and (subject.type is not SubjectType.MODEL or len(plan.arms) != 2):
        raise Invalid("A release of a deployment is of the type model and has two arms.")
    for arm in plan.arms[1:]:
        _check_arm(plan, arm)
    if subject.prompt and plan.arms[0].version is None:
        raise Invalid("The control of a prompt's release names its version too.")


def _check_arm(plan: Plan, arm: PlannedArm) -> None:
    for needed in _NEEDS[plan.subject.type]:
        if not getattr(arm, needed):
            raise Invalid(
                f"The arm {arm.name!r} of a release of the type {plan.subject.type} needs {needed}."
            )
    if plan.subject.type is SubjectType.MODEL and not plan.subject.deployment and not arm.provider:
        raise Invalid(
            f"The arm {arm.name!r} needs the model's provider.", hint=f"Of a deployment it is {LOCAL!r}."
        )


def calls_until_seen(measured: Metric, *, mean: float, deviation: float, share: float, level: float) -> int:
    """Return how many calls a release is expected to take to show a harm as large as the metric's.

    `mean` and `deviation` are of a call in the control, `share` is the new arm's part of the calls, `level` the error
    that the comparison may make. For independent calls and one control.
    """
    harm = math.log1p(measured.harm) if measured.relative else measured.harm
    spread = (deviation / mean) ** 2 if measured.relative else deviation**2
    if measured.binary:
        worse = min(1.0, mean + measured.harm)
        spread = max(mean * (1 - mean), worse * (1 - worse))
    needed = sequential.information_needed(harm, harm, level)
    return math.ceil(needed * spread * (1 / share + 1 / (1 - share)))
