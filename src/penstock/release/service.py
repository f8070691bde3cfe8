"""The verbs of releases: the only door into this slice. What they decide takes effect in their transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Conflict, Invalid, NotFound, PenstockError
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.gateway import service as gateway
from penstock.release import carrying, collecting, judgement, judging
from penstock.release.deciding import Verdict, decide, step_shares
from penstock.release.logbook import note
from penstock.release.model import (
    LIVE,
    Comparison,
    Decision,
    Kind,
    Phase,
    Plan,
    Release,
    Report,
    Score,
    State,
    Verb,
)
from penstock.release.planning import checked, with_suite
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store

MOST_LIVE = 50
"""Releases that may run at once in a project."""


def start(uow: UnitOfWork, actor: Actor, *, plan: Plan) -> Release:
    """Begin a release: calls are divided as soon as the web processes notice, within half a second.

    Raises Invalid for a plan that makes no sense, NotFound for what it names, Conflict while another release runs on
    the same calls or has the same name.
    """
    uow.may(actor, "releases.write", plan.name)
    plan = checked(with_suite(uow, actor, plan))
    running = store.newest(uow.conn, actor.scope, states=LIVE, before=None, limit=MOST_LIVE)
    if any(each.plan.name == plan.name for each in running):
        raise Conflict(f"A release {plan.name!r} is running.", hint="Give this one another name.")
    if len(running) == MOST_LIVE:
        raise Conflict(f"{MOST_LIVE} releases are running in this project.")
    carrying.check(uow, actor, plan)
    judgement.check(uow, actor, plan)
    at_once = carrying.start(uow, actor, plan)
    now = clock.now()
    release = Release(
        id=ids.new_id("rel"),
        plan=plan,
        state=State.RUNNING if at_once else State.WAITING,
        step=0,
        phase=0,
        shares=step_shares(plan, 0),
        winner="",
        before=None,
        author=actor.name,
        created_at=now,
        step_at=now,
    )
    store.insert(uow.conn, actor.scope, release)
    if at_once:
        _begin_phase(uow, actor, release)
    reason = f"{plan.kind} of {plan.subject.name}"
    if not at_once:
        reason += ": waiting for a replica of the new model"
    note(uow, actor, release, Verb.START, reason, {"shares": dict(release.shares)})
    return release


def _begin_phase(uow: UnitOfWork, actor: Actor, release: Release) -> None:
    store.put_phase(uow.conn, release, collecting.empty_phase(release, clock.now()))
    carrying.divide(uow, actor, release)


def find(uow: UnitOfWork, actor: Actor, *, id: str) -> Release:
    """Return a release by its id, or the newest of that name; raises NotFound."""
    uow.may(actor, "releases.read", id)
    return _found(store.get(uow.conn, actor.scope, id), actor.scope, id)


def _found(release: Release | None, scope: Scope, id: str) -> Release:
    if release is None:
        raise NotFound(f"There is no release {id!r} in the project {scope.project!r}.")
    return release


def _locked(uow: UnitOfWork, actor: Actor, id: str, *, action: str = "releases.write") -> Release:
    uow.may(actor, action, id)
    return _found(store.get(uow.conn, actor.scope, id, lock=True), actor.scope, id)


def list_releases(
    uow: UnitOfWork,
    actor: Actor,
    *,
    states: Sequence[State] = (),
    before: str | None = None,
    limit: int = 50,
) -> list[Release]:
    """Return releases, newest first; `before` is the id to go on from."""
    uow.may(actor, "releases.read")
    return store.newest(uow.conn, actor.scope, states=states, before=before, limit=limit)


def report(uow: UnitOfWork, actor: Actor, *, id: str) -> Report:
    """Return what is known of a release's arms; counts lag behind the calls by a second or two."""
    release = find(uow, actor, id=id)
    return judging.report(release.plan, store.phases_of(uow.conn, release), release.shares)


def decisions(uow: UnitOfWork, actor: Actor, *, id: str, limit: int = 200) -> list[Decision]:
    """Return the decision log, newest first."""
    return store.decisions_of(uow.conn, find(uow, actor, id=id), limit)


# -- what people decide ------------------------------------------------------------------------------------


def roll_back(uow: UnitOfWork, actor: Actor, *, id: str, reason: str = "") -> Release:
    """Let every call go where it went before the release, at once; also after a promotion.

    Every web process follows within half a second. Raises Conflict when it is rolled back already, or when somebody
    has changed the subject after it was promoted.
    """
    release = _locked(uow, actor, id)
    if release.state is State.ROLLED_BACK:
        raise Conflict(f"The release {release.plan.name!r} is rolled back already.")
    if release.state is State.PROMOTED:
        carrying.put_back(uow, actor, release)
    return _ended(uow, actor, release, State.ROLLED_BACK, reason or "Asked for.", {})


def promote(uow: UnitOfWork, actor: Actor, *, id: str, arm: str = "", reason: str = "") -> Release:
    """Let every call go to `arm` for good: the one the evidence chose, else the only new one.

    Raises Conflict when the release has ended or its model is not ready, Invalid for an arm that is none.
    """
    release = _locked(uow, actor, id, action="releases.promote.write")
    _check_live(release)
    if release.state is State.WAITING:
        raise Conflict("The new model has no replica that is ready.", hint="See `penstock deploy status`.")
    plan = release.plan
    chosen = arm or release.winner or (plan.challengers[0] if len(plan.challengers) == 1 else "")
    if chosen not in (each.name for each in plan.arms):
        names = ", ".join(each.name for each in plan.arms)
        raise Invalid("Say which arm to promote.", hint=f"The arms are {names}.")
    return _promoted(uow, actor, release, chosen, reason or "Asked for.", {})


def pause(uow: UnitOfWork, actor: Actor, *, id: str) -> Release:
    """Keep the shares as they are and decide nothing until `resume`; what happens is still counted."""
    release = _locked(uow, actor, id)
    if release.state is not State.RUNNING:
        raise Conflict(f"The release {release.plan.name!r} is {release.state}, not running.")
    return _moved(uow, actor, release, Verb.PAUSE, State.PAUSED)


def resume(uow: UnitOfWork, actor: Actor, *, id: str) -> Release:
    """Go on deciding after `pause`."""
    release = _locked(uow, actor, id)
    if release.state is not State.PAUSED:
        raise Conflict(f"The release {release.plan.name!r} is {release.state}, not paused.")
    return _moved(uow, actor, release, Verb.RESUME, State.RUNNING)


def _moved(uow: UnitOfWork, actor: Actor, release: Release, verb: Verb, state: State) -> Release:
    changed = replace(release, state=state)
    store.save(uow.conn, actor.scope, changed)
    note(uow, actor, changed, verb, "Asked for.", {})
    return changed


def step(uow: UnitOfWork, actor: Actor, *, id: str) -> Release:
    """Go on to a canary's next step without waiting for the evidence.

    Raises Conflict after the last step: then promote; and for releases without steps.
    """
    release = _locked(uow, actor, id)
    _check_live(release)
    if release.plan.kind is not Kind.CANARY or release.step + 1 >= len(release.plan.steps):
        raise Conflict(f"The release {release.plan.name!r} has no further step.", hint="Promote it.")
    if release.state is State.WAITING:
        raise Conflict("The new model has no replica that is ready.", hint="See `penstock deploy status`.")
    shares = step_shares(release.plan, release.step + 1)
    verdict = Verdict(verb=Verb.GO_ON, reason="Asked for.", shares=shares)
    return _reshared(uow, actor, release, verdict, {})


def _check_live(release: Release) -> None:
    if release.state not in LIVE:
        raise Conflict(f"The release {release.plan.name!r} is {release.state}.")


# -- what the evidence decides -----------------------------------------------------------------------------


def advance(uow: UnitOfWork, scope: Scope, id: str) -> bool:
    """Add what became of a release's calls and do what the evidence asks for; returns whether there is more to add.

    For the background process. All in the caller's transaction: killed in its middle, nothing has happened.
    """
    actor = system_actor(scope)
    release = store.get(uow.conn, scope, id, lock=True)
    if release is None or release.state not in LIVE:
        return False
    if not carrying.still_there(uow, actor, release):
        _ended(uow, actor, release, State.ROLLED_BACK, "The deployment's canary was ended by hand.", {})
        return False
    if release.state is State.WAITING:
        _begin_when_ready(uow, actor, release)
        return False
    taken, phases = _collected(uow, scope, release)
    if release.state is State.PAUSED:
        return taken
    now = clock.now()
    found = judging.report(release.plan, phases, release.shares)
    verdict = decide(release, phases, found, seconds=(now - release.step_at).total_seconds())
    _carry_out(uow, actor, release, verdict, found)
    return taken


def _collected(uow: UnitOfWork, scope: Scope, release: Release) -> tuple[bool, list[Phase]]:
    now = clock.now()
    outcomes = gateway.take_outcomes(uow, scope, release.id)
    phases = store.phases_of(uow.conn, release)
    if outcomes:
        phases = collecting.collect(uow, release, phases, outcomes, now)
    phases = collecting.collect_scores(uow, scope, release, phases, now)
    return bool(outcomes), phases


def _begin_when_ready(uow: UnitOfWork, actor: Actor, release: Release) -> None:
    if not carrying.ready(uow, actor, release):
        return
    begun = replace(release, state=State.RUNNING, step_at=clock.now())
    store.save(uow.conn, actor.scope, begun)
    _begin_phase(uow, actor, begun)
    note(
        uow, actor, begun, Verb.GO_ON, "A replica of the new model is ready.", {"shares": dict(begun.shares)}
    )


def _carry_out(uow: UnitOfWork, actor: Actor, release: Release, verdict: Verdict, found: Report) -> None:
    evidence = evidence_of(verdict, found)
    if verdict.verb is Verb.HOLD:
        if release.state is State.DECIDED:
            return  # its decision says what it waits for
        _hold(uow, actor, release, verdict.reason, evidence)
    elif verdict.verb is Verb.ROLL_BACK:
        _ended(uow, actor, release, State.ROLLED_BACK, verdict.reason, evidence)
    elif verdict.verb is Verb.DECIDE:
        _decided(uow, actor, release, verdict, evidence)
    else:
        _reshared(uow, actor, release, verdict, evidence)


def evidence_of(verdict: Verdict, found: Report) -> dict[str, Any]:
    """Return what a decision rests on, as it is kept: the comparisons, and every arm's figures at that moment."""
    return {
        "comparisons": [_plain(each) for each in verdict.comparisons],
        "arms": [msgspec.to_builtins(each) for each in found.arms],
        "ratio": {"ok": found.ratio.ok, "counts": dict(found.ratio.counts)},
    }


def _plain(each: Comparison) -> dict[str, Any]:
    # Infinite ends of intervals are no JSON: they become null.
    return {
        name: None if isinstance(value, float) and abs(value) > 1e300 else value
        for name, value in msgspec.to_builtins(each).items()
    }


def _hold(uow: UnitOfWork, actor: Actor, release: Release, reason: str, evidence: Mapping[str, Any]) -> None:
    """Write down why nothing happens, once for each reason."""
    last = store.decisions_of(uow.conn, release, 1)
    if not last or last[0].reason != reason:
        note(uow, actor, release, Verb.HOLD, reason, evidence)


def _reshared(
    uow: UnitOfWork, actor: Actor, release: Release, verdict: Verdict, evidence: Mapping[str, Any]
) -> Release:
    step = release.step + 1 if verdict.verb is Verb.GO_ON else release.step
    changed = replace(
        release, step=step, phase=release.phase + 1, shares=dict(verdict.shares), step_at=clock.now()
    )
    store.save(uow.conn, actor.scope, changed)
    _begin_phase(uow, actor, changed)
    note(uow, actor, changed, verdict.verb, verdict.reason, {**evidence, "shares": dict(changed.shares)})
    return changed


def _decided(
    uow: UnitOfWork, actor: Actor, release: Release, verdict: Verdict, evidence: Mapping[str, Any]
) -> None:
    chosen = replace(release, winner=verdict.arm, state=State.DECIDED)
    refused = ""
    if release.plan.auto_promote:
        try:
            with uow.conn.begin_nested():
                _promoted(uow, actor, chosen, verdict.arm, verdict.reason, evidence)
            return
        except PenstockError as error:
            refused = f" It could not be promoted: {error}"
    store.save(uow.conn, actor.scope, chosen)
    note(uow, actor, chosen, Verb.DECIDE, f"{verdict.reason}{refused}", evidence)


def _promoted(
    uow: UnitOfWork, actor: Actor, release: Release, chosen: str, reason: str, evidence: Mapping[str, Any]
) -> Release:
    plan = release.plan
    if chosen == plan.control:
        return _ended(uow, actor, release, State.ROLLED_BACK, f"{reason} {chosen} stays.", evidence)
    arm = next(each for each in plan.arms if each.name == chosen)
    before = carrying.make_rule(uow, actor, release, arm)
    changed = replace(
        release,
        state=State.PROMOTED,
        winner=chosen,
        shares={each.name: float(each.name == chosen) for each in plan.arms},
        before=before,
        ended_at=clock.now(),
    )
    store.save(uow.conn, actor.scope, changed)
    calls_store.forget_calls(uow.conn, release)
    note(uow, actor, changed, Verb.PROMOTE, f"{chosen}: {reason}", evidence)
    return changed


def _ended(
    uow: UnitOfWork, actor: Actor, release: Release, state: State, reason: str, evidence: Mapping[str, Any]
) -> Release:
    if release.state is not State.PROMOTED:
        carrying.give_back(uow, actor, release)
    plan = release.plan
    changed = replace(
        release,
        state=state,
        shares={each.name: float(each.name == plan.control) for each in plan.arms},
        ended_at=clock.now(),
    )
    store.save(uow.conn, actor.scope, changed)
    calls_store.forget_calls(uow.conn, release)
    note(uow, actor, changed, Verb.ROLL_BACK, reason, evidence)
    return changed


stop_judging = judgement.stop
judging_has_stopped = judgement.has_stopped
spent_on_judging = judgement.spent


def wanted_scores(uow: UnitOfWork, scope: Scope) -> frozenset[str]:
    """Return the metrics of a project's running releases that somebody gives after the call."""
    running = store.newest(uow.conn, scope, states=LIVE, before=None, limit=MOST_LIVE)
    names = (metric.name for release in running for metric in release.plan.metrics)
    return frozenset(name for name in names if ":" in name)


def note_scores(uow: UnitOfWork, scope: Scope, scores: Iterable[Score]) -> None:
    """Keep scores of answers until the project's releases have looked whether they are about their calls."""
    for score in scores:
        calls_store.add_score(uow.conn, scope, score)
