"""A cap that the gateway sets itself, such as what a route's copies may cost: kept like a budget, nobody's budget."""

from penstock.core.errors import LimitExceeded
from penstock.core.uow import UnitOfWork
from penstock.gateway.limits.meter import Errand
from penstock.gateway.limits.purse import Purse
from penstock.gateway.limits.store.ledger import CAPS, AccountRow

PREFIX = CAPS
"""How the ids of such rules begin."""


class Cap(Purse):
    """What this process holds of a cap in one period. No rule of a person's stands behind it, so nobody is alerted."""

    __slots__ = ()

    def _alerted(self, uow: UnitOfWork, row: AccountRow, errand: Errand, *, refused: bool) -> AccountRow:  # noqa: ARG002 - a Purse's signature
        return row

    def _show(self) -> None:
        """Nobody's budget is not shown."""

    def refusal(self, need: float, now: float) -> LimitExceeded | None:
        """Return why `need` is refused, when that is known."""
        if need < self.denied_need or now >= self.denied_until:
            return None
        return LimitExceeded(f"The cap of ${self.budget.usd:g} a day leaves no room for it.")
