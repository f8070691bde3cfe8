"""SQL of rate limits and budgets."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    String,
    Table,
    UniqueConstraint,
    delete,
    select,
    tuple_,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.limits.model import (
    NANO,
    AccountKey,
    Budget,
    NamedLimits,
    Period,
    RateLimits,
    Spend,
    SubjectKind,
)
from penstock.gateway.limits.store.ledger import accounts, aside, buckets, leases

limits = Table(
    "gateway_limits",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("limits", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "kind", "subject"),
)
budgets = Table(
    "gateway_budgets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("period", String(16), nullable=False),
    Column("nano", BigInteger, nullable=False),
    Column("soft", Json, nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "name"),
)


def _at(table: Table, scope: Scope) -> Any:
    """What the project sees: its own rows, and those of the whole tenant."""
    return (table.c.tenant == scope.tenant) & table.c.project.in_([scope.project, ""])


def _named(row: Any) -> NamedLimits:
    return NamedLimits(
        id=row.id,
        tenant=row.tenant,
        project=row.project,
        kind=SubjectKind(row.kind),
        subject=row.subject,
        limits=msgspec.convert(row.limits, RateLimits),
        updated_at=row.updated_at,
    )


def _budget(row: Any) -> Budget:
    return Budget(
        id=row.id,
        tenant=row.tenant,
        project=row.project,
        name=row.name,
        kind=SubjectKind(row.kind),
        subject=row.subject,
        period=Period(row.period),
        usd=row.nano / NANO,
        soft=tuple(row.soft),
        hard=row.hard,
        updated_at=row.updated_at,
    )


def put_limits(conn: Connection, named: NamedLimits) -> None:
    """Store rate limits over any of the same subject."""
    row = msgspec.to_builtins(named, builtin_types=(type(named.updated_at),))
    keys = ["tenant", "project", "kind", "subject"]
    upsert(conn, limits, [row], keys=keys, update=["limits", "updated_at"])


def get_limits(conn: Connection, scope: Scope, kind: SubjectKind, subject: str) -> NamedLimits | None:
    """Return the rate limits of a subject. Those of one key are the key's, whichever project set them."""
    place = limits.c.tenant == scope.tenant if _is_one_key(kind, subject) else _at(limits, scope)
    query = select(limits).where(place, limits.c.kind == str(kind), limits.c.subject == subject)
    row = conn.execute(query.order_by(limits.c.project.desc())).first()
    return None if row is None else _named(row)


def _is_one_key(kind: SubjectKind, subject: str) -> bool:
    return kind is SubjectKind.KEY and subject != "*"


def list_limits(conn: Connection, scope: Scope) -> list[NamedLimits]:
    """Return the rate limits that the project sees."""
    query = select(limits).where(_at(limits, scope)).order_by(limits.c.kind, limits.c.subject)
    return [_named(row) for row in conn.execute(query)]


def delete_limits(conn: Connection, named: NamedLimits) -> None:
    """Delete rate limits and their buckets; what is leased of them runs out."""
    conn.execute(delete(limits).where(limits.c.id == named.id))
    conn.execute(delete(buckets).where(buckets.c.rule == named.id))
    _forget(conn, named.id)


def put_budget(conn: Connection, budget: Budget) -> None:
    """Store a budget over any of the same name; alerts of its periods may come again where the amount grew."""
    row = {
        "id": budget.id,
        "tenant": budget.tenant,
        "project": budget.project,
        "name": budget.name,
        "kind": str(budget.kind),
        "subject": budget.subject,
        "period": str(budget.period),
        "nano": budget.nano,
        "soft": list(budget.soft),
        "hard": budget.hard,
        "updated_at": budget.updated_at,
    }
    changed = ["kind", "subject", "period", "nano", "soft", "hard", "updated_at"]
    upsert(conn, budgets, [row], keys=["tenant", "project", "name"], update=changed)


def rearm(conn: Connection, budget: Budget) -> None:
    """Let the alerts of a budget come again: it is larger now."""
    conn.execute(accounts.update().where(accounts.c.rule == budget.id).values(alerted=0, exhausted=False))


def get_budget(conn: Connection, scope: Scope, name: str) -> Budget | None:
    """Return the budget of that name."""
    row = conn.execute(select(budgets).where(_at(budgets, scope), budgets.c.name == name)).first()
    return None if row is None else _budget(row)


def list_budgets(conn: Connection, scope: Scope) -> list[Budget]:
    """Return the budgets that the project sees, by name."""
    query = select(budgets).where(_at(budgets, scope)).order_by(budgets.c.name)
    return [_budget(row) for row in conn.execute(query)]


def delete_budget(conn: Connection, budget: Budget) -> None:
    """Delete a budget with everything that was counted for it."""
    conn.execute(delete(budgets).where(budgets.c.id == budget.id))
    _forget(conn, budget.id)


def _forget(conn: Connection, rule: str) -> None:
    conn.execute(delete(accounts).where(accounts.c.rule == rule))
    conn.execute(delete(aside).where(aside.c.rule == rule))
    conn.execute(delete(leases).where(leases.c.rule == rule))


def spends(conn: Connection, budget: Budget, period: str, limit: int = 1000) -> list[Spend]:
    """Return what each subject of a budget has spent in a period, the largest first."""
    query = (
        select(accounts)
        .where(accounts.c.rule == budget.id, accounts.c.period == period)
        .order_by(accounts.c.spent.desc())
        .limit(limit)
    )
    rows = conn.execute(query).all()
    beside = _aside(conn, (aside.c.rule == budget.id) & (aside.c.period == period))
    return [
        Spend(
            budget=budget,
            subject=row.subject,
            period=period,
            spent=row.spent / NANO,
            reserved=row.leased / NANO,
            aside=beside.get(AccountKey(budget.id, row.subject, period), {}),
        )
        for row in rows
    ]


def _aside(conn: Connection, where: Any) -> dict[AccountKey, dict[str, float]]:
    """Return what went beside callers' answers, by account and kind."""
    found: dict[AccountKey, dict[str, float]] = {}
    for row in conn.execute(select(aside).where(where).order_by(aside.c.kind)):
        found.setdefault(AccountKey(row.rule, row.subject, row.period), {})[row.kind] = row.spent / NANO
    return found


def spend_of(conn: Connection, budgets_of: Sequence[Budget], keys: Sequence[AccountKey]) -> list[Spend]:
    """Return the state of one account per budget, in the same order."""
    wanted = tuple_(accounts.c.rule, accounts.c.subject, accounts.c.period)
    found = {
        AccountKey(row.rule, row.subject, row.period): row
        for row in conn.execute(select(accounts).where(wanted.in_([tuple(key) for key in keys])))
    }
    places = tuple_(aside.c.rule, aside.c.subject, aside.c.period)
    beside = _aside(conn, places.in_([tuple(key) for key in keys]))
    return [
        Spend(
            budget=budget,
            aside=beside.get(key, {}),
            subject=key.subject,
            period=key.period,
            spent=found[key].spent / NANO if key in found else 0.0,
            reserved=found[key].leased / NANO if key in found else 0.0,
        )
        for budget, key in zip(budgets_of, keys, strict=True)
    ]


def load_rules(conn: Connection) -> tuple[list[NamedLimits], list[Budget]]:
    """Return the rules of every scope: what a gateway process holds in memory."""
    return (
        [_named(row) for row in conn.execute(select(limits))],
        [_budget(row) for row in conn.execute(select(budgets))],
    )
