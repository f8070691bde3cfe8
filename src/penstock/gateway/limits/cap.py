"""A cap that the gateway sets itself, such as what a route's copies may cost: kept like a budget, nobody's budget."""

from penstock.core.uow import UnitOfWork
from penstock.gateway.limits.meter import Errand
from penstock.gateway.limits.purse import Purse
from penstock.gateway.limits.store.ledger import AccountRow

PREFIX = "cap_"
"""How the ids of such rules begin."""


class Cap(Purse):
    """What this process holds of a cap in one period. No rule of a person's stands behind it, so nobody is alerted."""

    __slots__ = ()

    def _alerted(self, uow: UnitOfWork, row: AccountRow, errand: Errand, *, refused: bool) -> AccountRow:  # noqa: ARG002 - a Purse's signature
        return row
