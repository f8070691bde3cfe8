"""SQL of what the ledger keeps by the name of an end user."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, union_all

from penstock.core.scope import Scope
from penstock.gateway.limits.model import AccountKey, SubjectKind
from penstock.gateway.limits.store.ledger import accounts, aside, leases
from penstock.gateway.limits.store.rules import budgets, limits

_KEY = accounts.c.rule, accounts.c.subject, accounts.c.period


class UserAccount(NamedTuple):
    """An account of an end user as it stands."""

    key: AccountKey
    budget: str | None
    """The name of the budget; None for calls at once."""
    spent: int
    """Nano-dollars; nothing for calls at once."""
    held: bool
    """Whether a process holds something of it, be it a dead one."""


def _rules(scope: Scope) -> Any:
    """Return the ids of the project's rules about end users."""
    return union_all(
        *(
            select(table.c.id).where(
                table.c.tenant == scope.tenant,
                table.c.project == scope.project,
                table.c.kind == str(SubjectKind.USER),
            )
            for table in (budgets, limits)
        )
    )


def accounts_of(conn: Connection, scope: Scope, user: str) -> list[UserAccount]:
    """Return every account that the project keeps of a user, by rule and period."""
    place = (leases.c.rule == _KEY[0]) & (leases.c.subject == _KEY[1]) & (leases.c.period == _KEY[2])
    held = select(leases.c.rule).where(place).exists().label("held")
    query = (
        select(*_KEY, accounts.c.spent, accounts.c.leased, budgets.c.name, held)
        .select_from(accounts.outerjoin(budgets, budgets.c.id == accounts.c.rule))
        .where(accounts.c.rule.in_(_rules(scope)), accounts.c.subject == user)
        .order_by(*_KEY)
    )
    return [
        UserAccount(
            AccountKey(row.rule, row.subject, row.period), row.name, row.spent, bool(row.held or row.leased)
        )
        for row in conn.execute(query)
    ]


def users(conn: Connection, scope: Scope) -> list[str]:
    """Return every user of whom the project keeps an account."""
    query = select(accounts.c.subject).where(accounts.c.rule.in_(_rules(scope))).distinct()
    return list(conn.execute(query.order_by(accounts.c.subject)).scalars())


def periods_of(conn: Connection, rule: str, subject: str) -> list[tuple[AccountKey, int]]:
    """Return the accounts of one subject of a rule with what is leased of each, locked, in order."""
    place = (accounts.c.rule == rule) & (accounts.c.subject == subject)
    query = select(*_KEY, accounts.c.leased).where(place).order_by(*_KEY).with_for_update()
    return [(AccountKey(row.rule, row.subject, row.period), row.leased) for row in conn.execute(query)]


def drop(conn: Connection, keys: Sequence[AccountKey]) -> None:
    """Delete accounts with what went aside of them and what dead processes had leased of them."""
    for key in keys:
        for table in (accounts, aside, leases):
            conn.execute(
                delete(table).where(
                    table.c.rule == key.rule, table.c.subject == key.subject, table.c.period == key.period
                )
            )
