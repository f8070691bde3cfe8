"""Forgetting end users: their accounts of periods that are over, and one account by hand."""

from datetime import datetime

from penstock.core import clock
from penstock.core.errors import Conflict, NotFound
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway.limits import service
from penstock.gateway.limits.model import SLOTS, Period, SubjectKind
from penstock.gateway.limits.store import ledger, users
from penstock.gateway.limits.store.users import UserAccount


def accounts_of(uow: UnitOfWork, scope: Scope, user: str) -> list[UserAccount]:
    """Return every account that the project keeps of an end user: of budgets, and of calls at once."""
    return users.accounts_of(uow.conn, scope, user)


def users_of(uow: UnitOfWork, scope: Scope) -> list[str]:
    """Return every end user of whom the project keeps an account."""
    return users.users(uow.conn, scope)


def ended(period: str, *, up_to: datetime) -> bool:
    """Return whether a day or month is over that had begun by `up_to`; calls at once and `total` never end."""
    today = clock.now().date().isoformat()
    return _ends(period) and period < today[: len(period)] and _begun(period, up_to)


def going(found: list[UserAccount], *, up_to: datetime) -> list[UserAccount]:
    """Return those accounts that may go now: nobody holds them, and their period has ended or they count calls."""
    return [
        one
        for one in found
        if not one.held and (one.key.period == SLOTS or ended(one.key.period, up_to=up_to))
    ]


def ending(found: list[UserAccount], *, up_to: datetime) -> list[UserAccount]:
    """Return those accounts of days and months begun by `up_to` that run, or that somebody holds: they go later."""
    gone = going(found, up_to=up_to)
    return [
        one for one in found if _ends(one.key.period) and _begun(one.key.period, up_to) and one not in gone
    ]


def _ends(period: str) -> bool:
    return period not in (SLOTS, str(Period.TOTAL))


def _begun(period: str, up_to: datetime) -> bool:
    return period <= up_to.date().isoformat()[: len(period)]


def forget(uow: UnitOfWork, found: list[UserAccount]) -> int:
    """Delete accounts that may go (see `going`), unless somebody holds something of them by now; returns how many."""
    return ledger.forget(uow.conn, [one.key for one in found])


def forget_account(uow: UnitOfWork, actor: Actor, name: str, subject: str) -> int:
    """Forget what one end user has spent of a budget, in every period; returns how many accounts went.

    The user has the whole budget again: that is what forgetting costs. Raises NotFound when the budget keeps nothing of
    the subject, Conflict while a process holds something of it or when the budget is not for users, Denied.
    """
    uow.may(actor, "budgets.admin", name)
    budget = service.get_budget(uow, actor, name)
    if budget.kind is not SubjectKind.USER:
        raise Conflict(f"The budget {name!r} is for {budget.kind}s, not for users.")
    found = users.periods_of(uow.conn, budget.id, subject)
    if not found:
        raise NotFound(f"The budget {name!r} keeps no account of that user.")
    if any(leased for _, leased in found):
        raise Conflict(
            f"A process holds something of that user's part of the budget {name!r}.",
            hint="It comes back by itself some time after the last call ([limits] idle_seconds): try again then.",
        )
    users.drop(uow.conn, [key for key, _ in found])
    # Not of whom: the name is to be forgotten.
    uow.audit(actor, "budgets.forget", name, accounts=len(found))
    return len(found)
