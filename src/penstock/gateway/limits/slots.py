"""Calls at once in this process: what is taken comes back when the call is over."""

from penstock.core.errors import LimitExceeded
from penstock.core.uow import UnitOfWork
from penstock.gateway.limits import account
from penstock.gateway.limits.account import Traded
from penstock.gateway.limits.meter import Errand, Meter, Sharing
from penstock.gateway.limits.model import AccountKey
from penstock.gateway.limits.store import ledger

AGAIN_SECONDS = 0.1


class Slots(Meter):
    """What this process holds of a limit of calls at once."""

    __slots__ = ("cap", "held", "whose")

    def __init__(self, key: AccountKey, cap: int, whose: str) -> None:
        super().__init__(key, 3, 1)
        self.cap = cap
        self.whose = whose
        self.held = 0

    def rule(self, cap: int) -> None:
        """Take over a changed limit."""
        if cap != self.cap:
            self.cap = cap
            self.giving = True
        self.denied_until = 0.0

    def settle(self, held: float, actual: float) -> bool:  # noqa: ARG002 - a Meter's signature
        """Give the slot back."""
        self.reserved -= held
        self.free += held
        return bool(self.waiting)

    def errand(self, now: float, booked: Errand | None) -> Errand:  # noqa: ARG002 - a Meter's signature
        """Return what goes back and what to lease."""
        if booked is not None:
            give = booked.give
        else:
            given = self.hand_over()
            if given is not None:
                return Errand(give=given)
            give = 0.0
        return self.wants(1 + self.reserved // 4)._replace(give=give)

    def trade(self, uow: UnitOfWork, sharing: Sharing, errand: Errand) -> Traded:
        """Give back and lease slots."""
        before = ledger.open_account(uow.conn, self.key, sharing.lessee)
        row = account.settled(before, errand) if sharing.fresh else before
        cap = self.cap if not sharing.leave else max(1, int(self.cap * (1 - sharing.leave)))
        row, granted = account.extended(row, cap, errand, sharing)
        if not sharing.leave:
            account.recall(uow, self.key, row, errand, granted, sharing.lessee)
        ledger.write_account(uow.conn, self.key, before, row, sharing.lessee)
        return Traded(row, granted)

    def learn(self, found: object, errand: Errand, now: float) -> None:
        """Take over the lease as the ledger has it."""
        assert isinstance(found, Traded)
        self.held = found.row.held
        self.free = self.held - self.reserved
        if errand.least and self.free < 1:
            self.deny(1, now + AGAIN_SECONDS)

    def stretch(self, need: float, now: float, lessees: int) -> bool:  # noqa: ARG002 - a Meter's signature
        """Without the ledger a process uses its equal share of the slots, at least one."""
        return self.reserved + need <= max(1, self.cap // max(1, lessees))

    def refusal(self, need: float, now: float) -> LimitExceeded | None:
        """Return why another call is refused, when that is known."""
        if self.held < self.cap and (need < self.denied_need or now >= self.denied_until):
            return None
        return LimitExceeded(
            f"The limit of {self.cap} calls at once of {self.whose} is reached.",
            hint=f"Wait for one to end, or raise it: `penstock limits set {self.whose} --concurrent N`.",
            details={"code": "rate_limit_exceeded", "type": "requests", "limit": "concurrent"},
            retry_after=1.0,
        )
