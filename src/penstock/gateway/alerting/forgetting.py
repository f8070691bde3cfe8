"""Alerts that name an end user, and how they go."""

from collections.abc import Sequence

from penstock.core import events
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway.alerting import store
from penstock.gateway.alerting.model import Alert
from penstock.gateway.limits.events import BudgetAlerted, BudgetExhausted
from penstock.gateway.limits.model import SubjectKind

_USER = str(SubjectKind.USER)


def alerts_of(uow: UnitOfWork, scope: Scope, user: str) -> list[Alert]:
    """Return the project's alerts that name an end user, the oldest first."""
    return store.of_subject(uow.conn, scope, _USER, user)


def users_of(uow: UnitOfWork, scope: Scope) -> list[str]:
    """Return every end user whom the project's alerts name."""
    return store.subjects(uow.conn, scope, _USER)


def forget(uow: UnitOfWork, scope: Scope, alerts: Sequence[Alert]) -> None:
    """Delete alerts; those that still wait for the webhook are not sent."""
    for alert in alerts:
        store.remove(uow.conn, scope, alert.id)


def withdraw(uow: UnitOfWork, scope: Scope, user: str) -> None:
    """Delete the events of which alerts about a user were made, or would have been."""

    def about(data: dict[str, object]) -> bool:
        return (data.get("kind"), data.get("subject")) == (_USER, user)

    events.withdraw(uow.conn, scope, (BudgetAlerted.name, BudgetExhausted.name), about)
