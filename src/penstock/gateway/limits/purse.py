"""A budget in this process: leased money, reserved before a call and settled after it."""

import math

from penstock.core import clock
from penstock.core.errors import LimitExceeded
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway import metrics
from penstock.gateway.limits import account, calendar
from penstock.gateway.limits.account import Traded
from penstock.gateway.limits.events import BudgetAlerted, BudgetExhausted
from penstock.gateway.limits.meter import ENOUGH, FULL_PACE_SECONDS, Errand, Meter, Sharing
from penstock.gateway.limits.model import EACH, NANO, AccountKey, Budget
from penstock.gateway.limits.store import ledger
from penstock.gateway.limits.store.ledger import AccountRow

CALLS_AHEAD = 16
"""As long as the pace is unknown, so many calls like the last one are leased ahead."""
AGAIN_SECONDS = 1.0
_MILLION = 1_000_000


class Purse(Meter):
    """What this process holds of one budget in one period."""

    __slots__ = ("_ahead", "_aside", "_last_need", "_moved_at", "_pace", "budget", "row", "settled")

    def __init__(self, key: AccountKey, budget: Budget, ahead_seconds: float) -> None:
        super().__init__(key, 4, ENOUGH)
        self.budget = budget
        self.settled = 0
        self.row = AccountRow(0, 0, 0, False, 0)
        self._ahead = ahead_seconds
        self._aside: dict[str, int] = {}
        self._pace = 0.0
        self._moved_at = 0.0
        self._last_need: float = 0
        if not budget.hard:
            self.free = ENOUGH

    def rule(self, budget: Budget) -> None:
        """Take over a changed rule; what is free goes back to be shared out anew."""
        if budget.hard != self.budget.hard:
            self.free = -self.reserved - self.settled if budget.hard else ENOUGH
        self.giving = self.giving or (budget.hard and budget != self.budget)
        self.budget = budget
        self.denied_until = 0.0

    def settle(self, held: float, actual: float) -> bool:
        """Book what a call cost, in nano-dollars."""
        self.reserved -= held
        self.free += held - actual
        if actual < held:
            self.denied_until = 0.0
        self.settled += int(actual)
        self._last_need = held
        return actual > 0 or bool(self.waiting)

    def note(self, kind: str, actual: float) -> None:
        """Note what kind of cost is booked."""
        if actual > 0:
            self._aside[kind] = self._aside.get(kind, 0) + int(actual)

    def errand(self, now: float, booked: Errand | None) -> Errand:
        """Return what was spent since the last one, what goes back, and what to lease."""
        if booked is None:
            settle, self.settled = self.settled, 0
            aside, self._aside = tuple(self._aside.items()), {}
            self._keep_pace(settle, now)
            given = self.hand_over() if self.budget.hard else None
            if given is not None:
                return Errand(settle=settle, give=given, aside=aside)
            give = 0.0
        else:
            settle, give, aside = booked.settle, booked.give, booked.aside
        if not self.budget.hard:
            return Errand(settle=settle, aside=aside)
        wants = self.wants(max(CALLS_AHEAD * self._last_need, self._pace * self._ahead))
        return wants._replace(settle=settle, give=give, aside=aside)

    def _keep_pace(self, settle: int, now: float) -> None:
        if self._moved_at:
            passed = max(0.05, now - self._moved_at)
            weight = 1 - math.exp(-passed / FULL_PACE_SECONDS)
            self._pace += weight * (settle / passed - self._pace)
        self._moved_at = now

    def trade(self, uow: UnitOfWork, sharing: Sharing, errand: Errand) -> Traded:
        """Book, lease, and publish alerts that are due; all in the caller's transaction."""
        before = ledger.open_account(uow.conn, self.key, sharing.lessee)
        booked = errand if self.budget.hard else errand._replace(give=before.held)
        row = account.settled(before, booked) if sharing.fresh else before
        if sharing.fresh and errand.aside:
            ledger.add_aside(uow.conn, self.key, errand.aside)
        granted = 0
        if self.budget.hard:
            row, granted = account.extended(row, self.budget.nano, errand, sharing)
            account.recall(uow, self.key, row, errand, granted, sharing.lessee)
        row = self._alerted(uow, row, errand, refused=granted < errand.least)
        ledger.write_account(uow.conn, self.key, before, row, sharing.lessee)
        return Traded(row, granted)

    def learn(self, found: object, errand: Errand, now: float) -> None:
        """Take over the lease as the ledger has it."""
        assert isinstance(found, Traded)
        self.row = found.row
        self._show()
        if not self.budget.hard:
            return
        self.free = self.row.held - self.reserved - self.settled
        if self.lacks(found.granted, errand):
            self.deny(errand.smallest, now + AGAIN_SECONDS)
            return
        target = max(CALLS_AHEAD * self._last_need, self._pace * self._ahead)
        self.low = max(0, min(0.75 * target, self.free / 2))

    def _show(self) -> None:
        """Tell the metrics; budgets for each (`*`) have too many subjects for that."""
        if self.budget.subject != EACH:
            metrics.BUDGET_SPENT.set(self.row.spent / NANO, *self._labels)
            metrics.BUDGET_LIMIT.set(self.budget.usd, *self._labels)

    def gone(self) -> None:
        """Take what was told to the metrics back."""
        metrics.BUDGET_SPENT.drop(*self._labels)
        metrics.BUDGET_LIMIT.drop(*self._labels)

    @property
    def _labels(self) -> tuple[str, str, str, str, str]:
        return self.budget.tenant, self.budget.project, self.budget.name, self.key.subject, self.key.period

    def _alerted(self, uow: UnitOfWork, row: AccountRow, errand: Errand, *, refused: bool) -> AccountRow:
        """Publish the alerts that this account is due, and note them."""
        budget, where = self.budget, Scope(self.budget.tenant, self.budget.project or "default")
        told = {"budget": budget.name, "kind": str(budget.kind), "subject": self.key.subject}
        told["period"] = self.key.period
        for fraction in sorted(budget.soft):
            part = round(fraction * _MILLION)
            if part > row.alerted and row.spent >= fraction * budget.nano:
                alert = BudgetAlerted(
                    **told, fraction=fraction, spent_usd=row.spent / NANO, limit_usd=budget.usd
                )
                uow.publish(alert, where)
                row = row._replace(alerted=part)
        used_up = row.spent >= budget.nano or (refused and row.spent + errand.smallest > budget.nano)
        if used_up and not row.exhausted:
            uow.publish(BudgetExhausted(**told, spent_usd=row.spent / NANO, limit_usd=budget.usd), where)
            row = row._replace(exhausted=True)
        return row

    def stretch(self, need: float, now: float, lessees: int) -> bool:  # noqa: ARG002 - a Meter's signature
        """Money is never stretched: the setting `when_unreachable` decides."""
        return False

    def refusal(self, need: float, now: float) -> LimitExceeded | None:
        """Return why `need` is refused, when that is known."""
        if need < self.denied_need or now >= self.denied_until:
            return None
        budget = self.budget
        whose = f"{budget.kind} {self.key.subject}"
        spent_out = self.row.spent + need > budget.nano
        why = "is spent" if spent_out else "is reserved by calls in flight"
        again = calendar.seconds_left(budget.period, clock.now_ns()) if spent_out else AGAIN_SECONDS
        renewed = {"day": "It starts anew at midnight UTC; ", "month": "It starts anew next month (UTC); "}
        each = "" if budget.subject != EACH else "each "
        hint = (renewed.get(str(budget.period), "") if spent_out else "Try again in a moment; ") + (
            f"raise it with `penstock budgets set {budget.name} --usd AMOUNT`."
        )
        return LimitExceeded(
            f"The budget {budget.name!r} of ${budget.usd:g} ({budget.period}, {each}{whose}) {why}.",
            hint=hint[0].upper() + hint[1:],
            details={"code": "insufficient_quota", "type": "insufficient_quota", "budget": budget.name},
            retry_after=again,
        )

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in use, leased or to be booked."""
        held = 0 if not self.budget.hard else self.free
        return not self.calls and not self.waiting and not self.settled and not held
