"""Carrying a release out: dividing the calls, making an arm the rule, and putting back what was before."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from penstock.core.errors import Conflict, Invalid
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.gateway import service as gateway
from penstock.gateway.model import LOCAL, Route, Split, SplitArm, Target
from penstock.prompts import service as prompts
from penstock.release.model import Kind, Plan, PlannedArm, Release
from penstock.serving import service as serving


def check(uow: UnitOfWork, actor: Actor, plan: Plan) -> None:
    """Raise NotFound, Invalid or Conflict unless what the plan names is there and can be divided."""
    subject = plan.subject
    if subject.prompt:
        for arm in plan.arms:
            prompts.get(uow, actor, name=subject.prompt, version=arm.version)
        return
    if subject.deployment:
        found = serving.find(uow, actor, name=subject.deployment)
        if found.candidate is not None:
            raise Conflict(
                f"{subject.deployment!r} has a canary running.", hint="Promote it or roll it back first."
            )
        return
    route = gateway.get_route(uow, actor, subject.route).route
    if route.arms:
        raise Conflict(f"The route {subject.route!r} has arms of its own.", hint="Take them out first.")
    if plan.kind is Kind.SHADOW and route.shadow is not None:
        raise Conflict(f"The route {subject.route!r} has a shadow of its own.", hint="Take it out first.")
    for arm in plan.arms[1:]:
        _check_targets(uow, actor, subject.route, arm)


def _check_targets(uow: UnitOfWork, actor: Actor, route: str, arm: PlannedArm) -> None:
    if arm.route:
        found = gateway.get_route(uow, actor, arm.route)
        if found.name == route or found.route.arms:
            raise Invalid(
                f"The arm {arm.name!r} cannot go on with the route {arm.route!r}.",
                hint="Name another route, without arms.",
            )
    elif arm.model and arm.provider != LOCAL:
        gateway.get_provider(uow, actor, arm.provider)


def start(uow: UnitOfWork, actor: Actor, plan: Plan) -> bool:
    """Begin what takes time; returns whether the calls can be divided at once."""
    if not plan.subject.deployment:
        return True
    serving.canary(uow, actor, name=plan.subject.deployment, model=plan.arms[1].model, weight=0.0)
    return False


def ready(uow: UnitOfWork, actor: Actor, release: Release) -> bool:
    """Return whether the new model of a deployment has a replica that answers."""
    status = serving.status(uow, actor, name=release.plan.subject.deployment)
    number = status.deployment.candidate
    return number is not None and status.of(number).ready


def still_there(uow: UnitOfWork, actor: Actor, release: Release) -> bool:
    """Return whether nobody has ended the canary of the release's deployment by hand."""
    name = release.plan.subject.deployment
    return not name or serving.find(uow, actor, name=name).candidate is not None


def divide(uow: UnitOfWork, actor: Actor, release: Release) -> None:
    """Give every arm its share of the calls from now on; raises Conflict while another release divides them."""
    plan, subject = release.plan, release.plan.subject
    prompt_id = prompts.find(uow, actor, name=subject.prompt).id if subject.prompt else ""
    arms = tuple(_arm(uow, actor, release, arm) for arm in plan.arms)
    split = Split(
        release=release.id,
        arms=arms,
        route=subject.route or subject.deployment,
        prompt=subject.prompt,
        prompt_id=prompt_id,
        label=subject.label if subject.prompt else "",
        phase=release.phase,
        sticky_by=plan.sticky_by,
    )
    gateway.put_split(uow, actor.scope, split)


def _arm(uow: UnitOfWork, actor: Actor, release: Release, arm: PlannedArm) -> SplitArm:
    plan = release.plan
    copied = plan.kind is Kind.SHADOW and arm.name != plan.control
    return SplitArm(
        name=arm.name,
        weight=release.shares.get(arm.name, 0.0),
        targets=_targets(uow, actor, plan, arm),
        params=arm.params,
        version=arm.version,
        shadow=copied,
        max_in_flight=plan.max_in_flight,
        usd_per_day=plan.usd_per_day,
    )


def _targets(uow: UnitOfWork, actor: Actor, plan: Plan, arm: PlannedArm) -> tuple[Target, ...]:
    if plan.subject.deployment:
        found = serving.find(uow, actor, name=plan.subject.deployment)
        control = arm.name == plan.control
        number = found.production if control else found.candidate
        return () if number is None else (Target(LOCAL, found.endpoint(number)),)
    if arm.route:
        return (Target(route=arm.route),)
    return (Target(arm.provider, arm.model),) if arm.model else ()


def give_back(uow: UnitOfWork, actor: Actor, release: Release) -> None:
    """Let every call go where it went before the release."""
    gateway.delete_split(uow, actor.scope, release.id)
    name = release.plan.subject.deployment
    if name and serving.find(uow, actor, name=name).candidate is not None:
        serving.rollback(uow, actor, name=name)


def make_rule(uow: UnitOfWork, actor: Actor, release: Release, arm: PlannedArm) -> Mapping[str, Any]:
    """Let every call go to `arm` for good, without the release; returns what was before and after.

    Raises Denied, Conflict and whatever else stands against it in the slice that owns the subject.
    """
    subject = release.plan.subject
    gateway.delete_split(uow, actor.scope, release.id)
    if subject.deployment:
        promoted = serving.promote(uow, actor, name=subject.deployment)
        return {"deployment": subject.deployment, "after": promoted.production}
    if subject.prompt:
        return _moved_label(uow, actor, release, arm)
    old = gateway.get_route(uow, actor, subject.route).route
    targets = _targets(uow, actor, release.plan, arm) or old.targets
    new = replace(old, targets=targets, params={**old.params, **arm.params})
    gateway.put_route(uow, actor, subject.route, new)
    return {"route": msgspec.to_builtins(old), "after": msgspec.to_builtins(new)}


def _moved_label(uow: UnitOfWork, actor: Actor, release: Release, arm: PlannedArm) -> Mapping[str, Any]:
    subject = release.plan.subject
    if arm.version is None:
        raise Invalid(f"The arm {arm.name!r} has no version of {subject.prompt!r}.")
    old = prompts.find(uow, actor, name=subject.prompt).labels.get(subject.label)
    note = f"promoted by the release {release.plan.name}"
    prompts.set_label(uow, actor, name=subject.prompt, label=subject.label, version=arm.version, note=note)
    return {"label": old, "after": arm.version}


def put_back(uow: UnitOfWork, actor: Actor, release: Release) -> None:
    """Undo a promotion; raises Conflict when somebody has changed the subject since."""
    subject, before = release.plan.subject, release.before
    if before is None:
        return
    if subject.deployment:
        if serving.find(uow, actor, name=subject.deployment).production != before["after"]:
            raise _changed(release)
        serving.rollback(uow, actor, name=subject.deployment)
    elif subject.prompt:
        if prompts.find(uow, actor, name=subject.prompt).labels.get(subject.label) != before["after"]:
            raise _changed(release)
        version: int | None = before["label"] or release.plan.arms[0].version
        assert version is not None, "the control of a prompt's release has one"
        note = f"rolled back by the release {release.plan.name}"
        prompts.set_label(uow, actor, name=subject.prompt, label=subject.label, version=version, note=note)
    else:
        if gateway.get_route(uow, actor, subject.route).route != msgspec.convert(before["after"], Route):
            raise _changed(release)
        gateway.put_route(uow, actor, subject.route, msgspec.convert(before["route"], Route))


def _changed(release: Release) -> Conflict:
    return Conflict(
        f"{release.plan.subject.name!r} was changed after it was promoted.",
        hint="Put it back by hand: going back blindly would undo that change too.",
    )
