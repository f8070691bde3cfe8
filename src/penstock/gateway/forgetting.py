"""Forgetting an end user: alerts and what is over at once, the accounts of running periods when they end."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from penstock.core import clock, jobs
from penstock.core.home import Home
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.gateway.alerting import forgetting as alerts
from penstock.gateway.alerting.model import Alert
from penstock.gateway.limits import calendar
from penstock.gateway.limits import forgetting as accounts
from penstock.gateway.limits.model import Period
from penstock.gateway.limits.store.users import UserAccount

JOB = "gateway.forget_user"
"""Spec: `mark`, by which the user's name is known again (the job does not hold it), and `at`, when that was asked."""
SETTLED_SECONDS = 60.0
"""By then what was being told when the erasure came has been told."""
AGAIN_SECONDS = 600.0
"""How soon to look again at an account that is over and that a process still holds, be it a dead one."""


def forget(home: Home, actor: Actor, user: str) -> tuple[int, int]:
    """Forget an end user as far as that can be done now; returns how many alerts and accounts went.

    One transaction: the alerts that name the user, their events, and the accounts that are over go; a durable job is
    left that does the rest (`HANDLERS`). Accounts of `total` budgets stay.
    """
    with home.begin() as uow:
        uow.may(actor, "budgets.admin", "subject")
        told, held = found(uow, actor, user)
        now = clock.now()
        alerts.forget(uow, actor.scope, told)
        alerts.withdraw(uow, actor.scope, user)
        gone = accounts.forget(uow, accounts.going(held, up_to=now))
        if told or held:
            spec = {"mark": _mark(uow, actor.scope)(user), "at": clock.iso(now)}
            jobs.enqueue(uow, system_actor(actor.scope), JOB, spec)
        uow.audit(actor, "gateway.erase", "subject", alerts=len(told), accounts=gone)
    return len(told), gone


def found(uow: UnitOfWork, actor: Actor, user: str) -> tuple[list[Alert], list[UserAccount]]:
    """Return every alert and account of an end user; raises Denied."""
    uow.may(actor, "budgets.admin", "subject")
    return alerts.alerts_of(uow, actor.scope, user), accounts.accounts_of(uow, actor.scope, user)


def _mark(uow: UnitOfWork, scope: Scope) -> Callable[[str], str]:
    return lambda name: uow.home.vault.mark(name, purpose=f"{JOB} {scope.tenant}/{scope.project}")


def go_on(context: JobContext) -> dict[str, Any]:
    """Forget what an erasure left, as soon as it may go; waits for the end of the last period."""
    scope, asked = context.actor.scope, clock.parse_iso(context.spec["at"])
    with context.home.read() as uow:
        mark = _mark(uow, scope)
        names = {*alerts.users_of(uow, scope), *accounts.users_of(uow, scope)}
        named = [name for name in names if mark(name) == context.spec["mark"]]
    waits = [left for name in named if (left := _rest(context.home, scope, name, asked)) is not None]
    unsettled = (asked + timedelta(seconds=SETTLED_SECONDS) - clock.now()).total_seconds()
    if unsettled > 0:
        waits.append(unsettled)
    if waits:
        raise Postponed("A period still runs.", seconds=min(waits))
    return {}


def _rest(home: Home, scope: Scope, user: str, asked: datetime) -> float | None:
    """Forget what may go; returns after how many seconds to look again, None when there is nothing to wait for."""
    with home.begin() as uow:
        told = alerts.alerts_of(uow, scope, user)
        old = [one for one in told if one.at <= asked or accounts.ended(one.period, up_to=asked)]
        alerts.forget(uow, scope, old)
        accounts.forget(uow, accounts.going(accounts.accounts_of(uow, scope, user), up_to=asked))
        left = accounts.ending(accounts.accounts_of(uow, scope, user), up_to=asked)
    if not left:
        return None
    if any(accounts.ended(one.key.period, up_to=asked) for one in left):
        return AGAIN_SECONDS
    return (calendar.seconds_left(Period.DAY, clock.now_ns()) or 0.0) + 1.0


HANDLERS: dict[str, Handler] = {JOB: go_on}
