"""The arithmetic of an account: settle, give back, lease. Leasing never takes `spent + leased` past the cap."""

from typing import NamedTuple

from penstock.core.uow import UnitOfWork
from penstock.gateway.limits.meter import Errand, Sharing
from penstock.gateway.limits.model import AccountKey
from penstock.gateway.limits.store import ledger
from penstock.gateway.limits.store.ledger import AccountRow


class Traded(NamedTuple):
    """An account after an errand, and how much the lease grew by it."""

    row: AccountRow
    granted: int


def settled(row: AccountRow, errand: Errand) -> AccountRow:
    """Return the account after what was used is spent and what was not needed came back.

    What was used beyond the lease is spent all the same; only the lease itself can be taken off what is leased.
    """
    taken = min(errand.settle + int(errand.give), row.held)
    return row._replace(spent=row.spent + errand.settle, leased=row.leased - taken, held=row.held - taken)


def extended(row: AccountRow, cap: int, errand: Errand, sharing: Sharing) -> tuple[AccountRow, int]:
    """Return the account with the lease grown by what the rule allows, and by how much.

    A waiting call gets what it needs if that much is left. Ahead of need a process holds at most `fraction` of the
    cap and takes at most half of its equal share of what is left, so that slices shrink towards the end.
    """
    left = cap - row.spent - row.leased
    if left <= 0 or errand.least > left:
        return row, 0
    ahead = min(int(errand.wish), int(cap * sharing.fraction) - row.held, left // (2 * sharing.lessees))
    grant = min(left, max(int(errand.needs), ahead, 0))
    return row._replace(leased=row.leased + grant, held=row.held + grant), grant


def recall(
    uow: UnitOfWork, key: AccountKey, row: AccountRow, errand: Errand, granted: int, lessee: str
) -> None:
    """Ask other processes for what they do not need, when a call waits in vain and they hold something."""
    if granted < errand.least and row.leased > row.held and ledger.recall(uow.conn, key, lessee):
        uow.bump(ledger.RECALLS)
