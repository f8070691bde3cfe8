"""SQL of the ledger: what is spent and leased of every allowance, and by which process.

Whoever changes an account has locked its row first (SQLite: the one write lock), in the order of `AccountKey`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    func,
    select,
    update,
)

from penstock.core import clock
from penstock.core.db import UtcTime, is_sqlite, metadata, upsert
from penstock.gateway.limits.model import SLOTS, AccountKey

accounts = Table(
    "gateway_accounts",
    metadata,
    Column("rule", String(40), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("period", String(16), primary_key=True),
    Column("spent", BigInteger, nullable=False),
    Column("leased", BigInteger, nullable=False),
    Column("alerted", Integer, nullable=False),
    Column("exhausted", Boolean, nullable=False),
)
lessees = Table(
    "gateway_lessees",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("dead", Boolean, nullable=False),
)
leases = Table(
    "gateway_leases",
    metadata,
    Column("lessee", String(40), primary_key=True),
    Column("rule", String(40), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("period", String(16), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("recalled", Boolean, nullable=False),
    Index("ix_gateway_leases_rule", "rule", "subject", "period"),
)
buckets = Table(
    "gateway_buckets",
    metadata,
    Column("rule", String(40), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("measure", String(16), primary_key=True),
    Column("level", Double, nullable=False),
    Column("at", Double, nullable=False),
)
aside = Table(
    "gateway_aside",
    metadata,
    Column("rule", String(40), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("period", String(16), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("spent", BigInteger, nullable=False),
)
CAPS = "cap_"
"""How the ids of caps that the gateway sets itself begin."""
RECALLS = "limits.recalls"
"""The revision topic that tells processes to give back what they do not need of some accounts."""
_KEYS = ["rule", "subject", "period"]


class AccountRow(NamedTuple):
    """An account as it stands, and what this process has leased of it."""

    spent: int
    leased: int
    alerted: int
    exhausted: bool
    held: int


def _place(table: Table, third: str = "period") -> Any:
    """Return the condition that finds the row of the parameters `_of` gives; statements with it are built once."""
    return (
        (table.c.rule == bindparam("at_rule"))
        & (table.c.subject == bindparam("at_subject"))
        & (table.c[third] == bindparam("at_period"))
    )


def _of(key: AccountKey) -> dict[str, Any]:
    return {"at_rule": key.rule, "at_subject": key.subject, "at_period": key.period}


_ACCOUNT = select(accounts).where(_place(accounts)).with_for_update()
_WRITE_ACCOUNT = update(accounts).where(_place(accounts))
_AMOUNT = select(leases.c.amount).where(leases.c.lessee == bindparam("at_lessee"), _place(leases))
_LESSEE = select(lessees).where(lessees.c.id == bindparam("at_id")).with_for_update()
_WRITE_LESSEE = update(lessees).where(lessees.c.id == bindparam("at_id"))
_BUCKET = select(buckets.c.level, buckets.c.at).where(_place(buckets, "measure")).with_for_update()
_WRITE_BUCKET = update(buckets).where(_place(buckets, "measure"))
_ALIVE = (
    select(func.count())
    .select_from(lessees)
    .where(lessees.c.seen_at >= bindparam("since"), lessees.c.dead.is_(False))
)


def _at(table: Table, key: AccountKey) -> Any:
    return (table.c.rule == key.rule) & (table.c.subject == key.subject) & (table.c.period == key.period)


def _lease(lessee: str, key: AccountKey) -> Any:
    return (leases.c.lessee == lessee) & _at(leases, key)


def open_account(conn: Connection, key: AccountKey, lessee: str) -> AccountRow:
    """Lock an account and return it; it is made when it is not there."""
    place = _of(key)
    row = conn.execute(_ACCOUNT, place).first()
    if row is None:
        fresh = {**key._asdict(), "spent": 0, "leased": 0, "alerted": 0, "exhausted": False}
        upsert(conn, accounts, [fresh], keys=_KEYS)
        row = conn.execute(_ACCOUNT, place).one()
    held = conn.execute(_AMOUNT, {"at_lessee": lessee, **place}).scalar() or 0
    return AccountRow(row.spent, row.leased, row.alerted, row.exhausted, held)


def write_account(
    conn: Connection, key: AccountKey, before: AccountRow, after: AccountRow, lessee: str
) -> None:
    """Write what changed of an opened account and of this process's lease of it."""
    if after[:4] != before[:4]:
        values = {"spent": after.spent, "leased": after.leased}
        values |= {"alerted": after.alerted, "exhausted": after.exhausted}
        conn.execute(_WRITE_ACCOUNT, {**_of(key), **values})
    if after.held == before.held:
        return
    if after.held == 0:
        conn.execute(delete(leases).where(_lease(lessee, key)))
        return
    row = {"lessee": lessee, **key._asdict(), "amount": after.held, "recalled": False}
    upsert(conn, leases, [row], keys=["lessee", *_KEYS], update=["amount", "recalled"])


def add_aside(conn: Connection, key: AccountKey, amounts: Sequence[tuple[str, int]]) -> None:
    """Add what of an opened account's spend went beside callers' answers, by kind."""
    for kind, amount in amounts:
        place = _at(aside, key) & (aside.c.kind == kind)
        grown = update(aside).where(place).values(spent=aside.c.spent + amount)
        if conn.execute(grown).rowcount == 0:
            row = {**key._asdict(), "kind": kind, "spent": amount}
            upsert(conn, aside, [row], keys=[*_KEYS, "kind"])


def recall(conn: Connection, key: AccountKey, lessee: str) -> int:
    """Ask every other process for what it does not need of an account; returns how many were asked."""
    query = update(leases).where(_at(leases, key), leases.c.lessee != lessee, leases.c.recalled.is_(False))
    return conn.execute(query.values(recalled=True)).rowcount


def recalled(conn: Connection, lessee: str) -> list[AccountKey]:
    """Return the accounts (of every scope) that this process is asked to give back."""
    query = select(leases).where(leases.c.lessee == lessee, leases.c.recalled.is_(True))
    return [AccountKey(row.rule, row.subject, row.period) for row in conn.execute(query)]


def ended(conn: Connection, before: str, caps_before: str, limit: int) -> list[AccountKey]:
    """Return accounts (of every scope) of which no process holds anything, not even a dead one, and that are over.

    Over are days and months before the month `before` (`2025-10`), those of caps before the day `caps_before`, and
    calls at once when there are none.
    """
    key = accounts.c.rule, accounts.c.subject, accounts.c.period
    place = (leases.c.rule == key[0]) & (leases.c.subject == key[1]) & (leases.c.period == key[2])
    cap = key[0].startswith(CAPS, autoescape=True) & (key[2] < caps_before)
    over = (key[2] < before) | cap | (key[2] == SLOTS)
    query = select(*key).where(over, accounts.c.leased == 0, ~select(leases.c.rule).where(place).exists())
    return [AccountKey(*row) for row in conn.execute(query.order_by(*key).limit(limit))]


def forget(conn: Connection, keys: Sequence[AccountKey]) -> int:
    """Delete ended accounts (of every scope), unless somebody holds something of them by now; returns how many."""
    gone = 0
    for key in keys:
        if conn.execute(delete(accounts).where(_at(accounts, key), accounts.c.leased == 0)).rowcount:
            conn.execute(delete(aside).where(_at(aside, key)))
            gone += 1
    return gone


def forget_full(conn: Connection, before: float) -> int:
    """Delete the buckets (of every scope) that nobody took from since then, by the clock that fills them.

    They are full, as one that is not there.
    """
    return conn.execute(delete(buckets).where(buckets.c.at < before)).rowcount


# -- processes ---------------------------------------------------------------------------------------------


def open_lessee(conn: Connection, lessee: str, at: datetime) -> int:
    """Lock this process's row (of every scope), note that it lives, and return the number of its last batch.

    A process that was taken for dead takes back what was counted as spent for it.
    """
    row = conn.execute(_LESSEE, {"at_id": lessee}).first()
    if row is None:
        upsert(conn, lessees, [{"id": lessee, "seen_at": at, "number": 0, "dead": False}], keys=["id"])
        return 0
    if row.dead:
        _move(conn, lessee, back=True)
    conn.execute(_WRITE_LESSEE, {"at_id": lessee, "seen_at": at, "dead": False})
    return int(row.number)


def number_batch(conn: Connection, lessee: str, number: int) -> None:
    """Note (in no scope but every scope) that the batch `number` of this process is in the ledger."""
    conn.execute(_WRITE_LESSEE, {"at_id": lessee, "number": number})


def count_lessees(conn: Connection, since: datetime) -> int:
    """Return how many processes (of every scope) were heard of since then."""
    return conn.execute(_ALIVE, {"since": since}).scalar() or 0


def silent_lessees(conn: Connection, since: datetime) -> list[str]:
    """Return the processes (of every scope) that were not heard of since then and are not known to be dead."""
    query = select(lessees.c.id).where(lessees.c.seen_at < since, lessees.c.dead.is_(False))
    return list(conn.execute(query.order_by(lessees.c.id)).scalars())


def bury(conn: Connection, lessee: str, since: datetime) -> bool:
    """Count everything (of every scope) that a dead process had leased as spent; False when it lives after all."""
    query = update(lessees).where(
        lessees.c.id == lessee, lessees.c.seen_at < since, lessees.c.dead.is_(False)
    )
    if conn.execute(query.values(dead=True)).rowcount == 0:
        return False
    _move(conn, lessee, back=False)
    return True


def _move(conn: Connection, lessee: str, *, back: bool) -> None:
    """Move a process's leases from leased to spent, or back. Calls at once just end, with the process."""
    held = conn.execute(select(leases).where(leases.c.lessee == lessee))
    amounts = {AccountKey(row.rule, row.subject, row.period): row.amount for row in held}
    for key in sorted(amounts):
        amount = -amounts[key] if back else amounts[key]
        values: Mapping[str, Any] = {"leased": accounts.c.leased - amount}
        if key.period != SLOTS:
            values = {**values, "spent": accounts.c.spent + amount}
        conn.execute(update(accounts).where(_at(accounts, key)).values(**values))


def leave(conn: Connection, lessee: str) -> None:
    """Forget a process (of every scope) that has given everything back."""
    conn.execute(delete(lessees).where(lessees.c.id == lessee))


def forget_dead(conn: Connection, before: datetime) -> int:
    """Delete the rows (of every scope) of processes that died before then; what they spent stays counted."""
    gone = select(lessees.c.id).where(lessees.c.dead.is_(True), lessees.c.seen_at < before)
    conn.execute(delete(leases).where(leases.c.lessee.in_(gone)))
    return conn.execute(delete(lessees).where(lessees.c.dead.is_(True), lessees.c.seen_at < before)).rowcount


# -- buckets -----------------------------------------------------------------------------------------------


def shared_seconds(conn: Connection) -> float:
    """Return the clock that fills the buckets of every scope: one for all processes that share the database.

    SQLite is shared on one machine, whose monotonic clock no correction of the time moves; PostgreSQL's own clock
    is the same for all replicas.
    """
    if is_sqlite(conn):
        return clock.monotonic()
    return float(conn.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def open_bucket(conn: Connection, key: AccountKey, full: float, now: float) -> tuple[float, float]:
    """Lock a bucket (its measure stands in `key.period`) and return its level and when that was; full when new."""
    row = conn.execute(_BUCKET, _of(key)).first()
    if row is None:
        fresh = {"rule": key.rule, "subject": key.subject, "measure": key.period, "level": full, "at": now}
        upsert(conn, buckets, [fresh], keys=["rule", "subject", "measure"])
        row = conn.execute(_BUCKET, _of(key)).one()
    return row.level, row.at


def write_bucket(conn: Connection, key: AccountKey, level: float, now: float) -> None:
    """Write a bucket's level."""
    conn.execute(_WRITE_BUCKET, {**_of(key), "level": level, "at": now})
