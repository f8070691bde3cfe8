"""The verbs of splits, for the slice that runs releases. Whether somebody may is asked there."""

from collections.abc import Collection

from penstock.core import clock
from penstock.core.errors import Conflict, Invalid
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway.model import STICKY_BY, ArmOutcome, Split
from penstock.gateway.routing.checking import check_params
from penstock.gateway.splits import store

TOPIC = "gateway"
STICKY = (*STICKY_BY, "call")
ROWS = 200
"""Rows of outcomes taken at a time; each holds some hundred calls at most."""


def put_split(uow: UnitOfWork, scope: Scope, split: Split) -> None:
    """Divide the calls of the split's subject from now on; every web process follows within half a second.

    Raises Conflict while another release divides them, Invalid for what makes no sense.
    """
    if split.sticky_by not in STICKY:
        raise Invalid(f"{split.sticky_by!r} is nobody who can stay.", hint=f"One of {', '.join(STICKY)}.")
    for arm in split.arms:
        check_params(arm.params)
    found = store.get(uow.conn, scope, split.subject)
    if found is not None and found.release != split.release:
        raise Conflict(
            f"The release {found.release} is running on the same calls.",
            hint="Wait for its end, roll it back or promote it.",
        )
    if found != split:
        store.put(uow.conn, scope, split, clock.now())
        uow.bump(TOPIC)


def delete_split(uow: UnitOfWork, scope: Scope, release: str) -> None:
    """Give all calls back to where they go without the release; without a split nothing changes."""
    if store.remove(uow.conn, scope, release):
        uow.bump(TOPIC)


def take_outcomes(uow: UnitOfWork, scope: Scope, release: str) -> list[ArmOutcome]:
    """Return what became of the calls of a release, each once: gone when the transaction is committed.

    A second taker may come only after the first one's transaction: lock the release.
    """
    return store.take_outcomes(uow.conn, scope, release, ROWS)


def forget_outcomes(uow: UnitOfWork, *, keep: Collection[str]) -> int:
    """Delete the outcomes of all releases but `keep`, in all projects; returns how many rows went."""
    return store.forget_outcomes(uow.conn, keep)
