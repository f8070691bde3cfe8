"""Writing into a release's decision log."""

from collections.abc import Mapping
from typing import Any

from penstock.core import clock
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.release.events import ReleaseDecided
from penstock.release.model import Decision, Release, Verb
from penstock.release.store import releases as store


def note(
    uow: UnitOfWork, actor: Actor, release: Release, verb: Verb, reason: str, evidence: Mapping[str, Any]
) -> None:
    """Write a decision into the log, and tell others of it unless nothing is done."""
    decision = Decision(at=clock.now(), decision=verb, reason=reason, evidence=evidence, by=actor.name)
    store.add_decision(uow.conn, release, decision)
    if verb is Verb.HOLD:
        return
    uow.audit(actor, f"releases.{verb}", release.plan.name, release=release.id, reason=reason)
    uow.publish(
        ReleaseDecided(
            release=release.id,
            release_name=release.plan.name,
            decision=str(verb),
            state=str(release.state),
            reason=reason,
        ),
        actor.scope,
    )
