"""SQL of the calls that runs made."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from penstock.core import ids
from penstock.core.db import UtcTime, is_sqlite, metadata, upsert
from penstock.core.scope import Scope
from penstock.evals.calls.model import JUDGE, Call, Paid, Spent
from penstock.evals.model import Output

calls = Table(
    "evals_calls",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("run_id", String(40), nullable=False),
    Column("role", String(16), nullable=False),
    Column("sample_id", String(200), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("answer", Text),
    Column("cost_usd", Float),
    Column("reserved_at", UtcTime, nullable=False),
    Column("answered_at", UtcTime),
    Index("ix_evals_calls_run", "run_id", "role"),
)

_KEYS = ["tenant", "project", "digest"]
_CHUNK = 500
_output = msgspec.json.Decoder(Output)
_encode = msgspec.json.Encoder().encode


def _in(scope: Scope) -> ColumnElement[bool]:
    return (calls.c.tenant == scope.tenant) & (calls.c.project == scope.project)


def answers(conn: Connection, scope: Scope, digests: Iterable[str]) -> dict[str, Output]:
    """Return digest → answer of the calls that have one."""
    wanted = list(digests)
    found: dict[str, Output] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(calls.c.digest, calls.c.answer).where(
            _in(scope), calls.c.digest.in_(wanted[start : start + _CHUNK]), calls.c.answer.is_not(None)
        )
        found |= {row.digest: _output.decode(row.answer) for row in conn.execute(query)}
    return found


def reserve(conn: Connection, scope: Scope, run_id: str, asked: Sequence[Call], at: datetime) -> None:
    """Note, before they are sent, that the run is about to pay for these calls."""
    rows = [
        {
            "tenant": scope.tenant,
            "project": scope.project,
            "digest": call.digest,
            "run_id": run_id,
            "role": call.role,
            "sample_id": call.sample_id,
            "shared": call.shared,
            "sent": 1,
            "reserved_at": at,
        }
        for call in asked
    ]
    # An answer that is there stays; what is sent again is counted again, for the run that sends it now.
    statement = (sqlite.insert if is_sqlite(conn) else postgresql.insert)(calls)
    again = {"sent": calls.c.sent + 1, "run_id": statement.excluded.run_id}
    conn.execute(statement.on_conflict_do_update(index_elements=_KEYS, set_=again), rows)


def _count(conn: Connection, scope: Scope, run_id: str, digests: Sequence[str], by: int) -> None:
    for start in range(0, len(digests), _CHUNK):
        chosen = calls.c.digest.in_(digests[start : start + _CHUNK])
        values = {"sent": calls.c.sent + by, "run_id": run_id}
        conn.execute(update(calls).where(_in(scope), chosen).values(**values))


def release(conn: Connection, scope: Scope, run_id: str, refused: Sequence[Call]) -> None:
    """Take reservations back: these calls ended without an answer."""
    _count(conn, scope, run_id, [call.digest for call in refused], -1)


def commit(conn: Connection, scope: Scope, paid: Sequence[Paid], at: datetime) -> None:
    """Store answers; one that was stored before is left as it is."""
    statement = (
        update(calls)
        .where(_in(scope), calls.c.digest == bindparam("of"), calls.c.answer.is_(None))
        .values(answer=bindparam("said"), cost_usd=bindparam("cost"), answered_at=bindparam("at"))
    )
    conn.execute(
        statement,
        [
            {
                "of": one.call.digest,
                "said": _encode(one.output).decode(),
                "cost": one.output.cost_usd,
                "at": at,
            }
            for one in paid
        ],
    )


def keep(conn: Connection, scope: Scope, run_id: str, paid: Sequence[Paid], at: datetime) -> None:
    """Store answers that nothing was reserved for: they were made in this process and cost nothing to reserve."""
    rows = [
        {
            "tenant": scope.tenant,
            "project": scope.project,
            "digest": one.call.digest,
            "run_id": run_id,
            "role": one.call.role,
            "sample_id": one.call.sample_id,
            "shared": one.call.shared,
            "sent": 1,
            "answer": _encode(one.output).decode(),
            "cost_usd": one.output.cost_usd,
            "reserved_at": at,
            "answered_at": at,
        }
        for one in paid
    ]
    upsert(conn, calls, rows, keys=_KEYS)


def void(conn: Connection, scope: Scope, run_id: str, sample_ids: Sequence[str]) -> None:
    """Let nobody use the judges' answers on these samples again: they could not be read. Their price stays."""
    for start in range(0, len(sample_ids), _CHUNK):
        query = select(calls.c.digest).where(
            _in(scope),
            calls.c.role == JUDGE,
            calls.c.sample_id.in_(sample_ids[start : start + _CHUNK]),
            (calls.c.run_id == run_id) | calls.c.shared,
        )
        found = [row.digest for row in conn.execute(query)]
        if found:
            conn.execute(
                update(calls)
                .where(_in(scope), calls.c.digest == bindparam("of"))
                .values(digest=bindparam("tombstone"), answer=None),
                [{"of": digest, "tombstone": ids.new_id("void")} for digest in found],
            )


def spent(conn: Connection, scope: Scope, run_id: str) -> Spent:
    """Return what the run's calls came to; those whose end is not known are counted as lost."""
    answered = func.count(calls.c.answered_at)
    row = conn.execute(
        select(func.sum(calls.c.cost_usd), answered, func.sum(calls.c.sent)).where(
            _in(scope), calls.c.run_id == run_id
        )
    ).one()
    done, sent = int(row[1] or 0), int(row[2] or 0)
    return Spent(cost_usd=float(row[0] or 0.0), answered=done, lost=max(0, sent - done))


def settle(conn: Connection, scope: Scope, run_id: str) -> None:
    """Drop the texts of the run's own answers, which its samples hold by now; the accounts stay."""
    own = (calls.c.run_id == run_id) & calls.c.shared.is_(False)
    conn.execute(update(calls).where(_in(scope), own).values(answer=None))
