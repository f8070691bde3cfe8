"""The SQL of keeping: policies, what was let go by them, judgements, and which traces it is time to decide about."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Select,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
)

from penstock.core import clock
from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.traces.policy import LetGo, Policies, Stored
from penstock.traces.store import read, rollup
from penstock.traces.store.tables import RowId

SAMPLED, SCRUB, NAMES = "sampled", "scrub", "names"
"""Marks: traces up to this row were decided about; what is left to scrub; the last facet name looked at."""

policies = Table(
    "traces_policies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("document", Json, nullable=False),
    Column("secret", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)
"""`secret` (sealed by the vault) keys the hashes of masking; it is made once and stays."""

let_go = Table(
    "traces_let_go",
    metadata,
    Column("scope_id", Integer, primary_key=True, autoincrement=False),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", String(100), primary_key=True),
    Column("traces", BigInteger, nullable=False),
    Column("spans", BigInteger, nullable=False),
)
"""How much each policy removed per `day` (its first second)."""

arrivals = Table(
    "traces_arrivals",
    metadata,
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("trace", BigInteger, nullable=False),
)
"""Which row number traces had reached at a moment: their start says nothing about when they came."""

waiting = Table(
    "traces_waiting",
    metadata,
    Column("trace", RowId, primary_key=True, autoincrement=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Index("ix_traces_waiting_due", "due_ms"),
)
"""Traces whose root has not come yet: sampling asks again. A negative `trace` is no row but stands for the id of one
that sampling let go of at `since_ms`; until `due_ms` spans that come later are known by it."""


def get(conn: Connection, scope: Scope) -> Stored | None:
    """Return the project's policies, or None when it never set any."""
    query = select(policies).where(policies.c.tenant == scope.tenant, policies.c.project == scope.project)
    row = conn.execute(query).first()
    return None if row is None else _stored(row)


def _stored(row: Any) -> Stored:
    found = msgspec.convert(row.document, Policies)
    return Stored(policies=found, updated_at=row.updated_at, updated_by=row.updated_by)


def secret(conn: Connection, scope: Scope) -> str:
    """Return the sealed key of the project's hashes; empty when it never set policies."""
    query = select(policies.c.secret).where(
        policies.c.tenant == scope.tenant, policies.c.project == scope.project
    )
    return conn.execute(query).scalar() or ""


def put(conn: Connection, scope: Scope, stored: Stored, *, secret: str) -> None:
    """Store the project's policies; `secret` becomes its key unless it has one."""
    row: dict[str, Any] = {"tenant": scope.tenant, "project": scope.project, "secret": secret}
    row["document"] = msgspec.to_builtins(stored.policies)
    row |= {"updated_at": stored.updated_at, "updated_by": stored.updated_by}
    changed = ["document", "updated_at", "updated_by"]
    upsert(conn, policies, [row], keys=["tenant", "project"], update=changed)


def everybodys(conn: Connection) -> dict[Scope, Policies]:
    """Return the policies of every project, in every scope, that set some."""
    return {Scope(row.tenant, row.project): _stored(row).policies for row in conn.execute(select(policies))}


def scopes(conn: Connection) -> dict[int, Scope]:
    """Return the number and name of every scope that has or had traces."""
    rows = conn.execute(text("SELECT id, tenant, project FROM traces_scopes"))
    return {row.id: Scope(row.tenant, row.project) for row in rows}


def count(conn: Connection, scope: Scope, reason: str, *, traces: int, spans: int) -> None:
    """Add to what the policies of a project removed today."""
    day = clock.now_ns() // 10**9 // 86_400 * 86_400
    statement = (
        "INSERT INTO traces_let_go (scope_id, day, reason, traces, spans) "
        "VALUES (:scope, :day, :reason, :traces, :spans) "
        "ON CONFLICT (scope_id, day, reason) DO UPDATE SET traces = traces_let_go.traces + excluded.traces, "
        "spans = traces_let_go.spans + excluded.spans"
    )
    values = {
        "scope": read.scope_id(conn, scope),
        "day": day,
        "reason": reason[:100],
        "traces": traces,
        "spans": spans,
    }
    conn.execute(text(statement), values)


def counted(conn: Connection, scope: Scope, *, limit: int) -> list[LetGo]:
    """Return what the project's policies removed, the latest day first."""
    query = (
        select(let_go).where(let_go.c.scope_id == read.scope_id(conn, scope)).order_by(let_go.c.day.desc())
    )
    return [
        LetGo(
            day=clock.iso(clock.from_ns(row.day * 10**9))[:10],
            reason=row.reason,
            traces=row.traces,
            spans=row.spans,
        )
        for row in conn.execute(query.order_by(let_go.c.reason).limit(limit))
    ]


def newest(conn: Connection) -> int:
    """Return the highest row number of a trace in every scope."""
    return int(conn.execute(text("SELECT coalesce(max(id), 0) FROM traces_traces")).scalar_one())


def note_arrival(conn: Connection, at_ms: int) -> None:
    """Remember how far the traces of every scope have come by now."""
    last = conn.execute(select(arrivals.c.trace, arrivals.c.at_ms).order_by(arrivals.c.at_ms.desc()).limit(1))
    known = last.first()
    top = newest(conn)
    if known is None or (known.trace < top and known.at_ms < at_ms):
        conn.execute(insert(arrivals).values(at_ms=at_ms, trace=top))


def ripe(conn: Connection, before_ms: int) -> int:
    """Return up to which row number the traces of every scope came before `before_ms`; drops older notes."""
    query = text(
        "SELECT max(at_ms) AS at_ms, max(trace) AS trace FROM traces_arrivals WHERE at_ms <= :before"
    )
    row = conn.execute(query, {"before": before_ms}).one()
    if row.at_ms is None:
        return 0
    conn.execute(delete(arrivals).where(arrivals.c.at_ms < row.at_ms))
    return int(row.trace)


def forget_arrivals(conn: Connection) -> None:
    """Drop all notes of every scope: nobody samples."""
    conn.execute(delete(arrivals))
    conn.execute(delete(waiting).where(waiting.c.trace > 0))


def mark(conn: Connection, name: str) -> int:
    """Return a mark, which holds for every scope."""
    return rollup.mark(conn, name)


def move(conn: Connection, name: str, value: int) -> None:
    """Set a mark, which holds for every scope."""
    conn.execute(
        text("UPDATE traces_marks SET value = :value WHERE name = :name"), {"name": name, "value": value}
    )


def wait(conn: Connection, trace: int, *, since_ms: int, due_ms: int) -> None:
    """Ask about a trace (rows of every scope have their own number) again at `due_ms`."""
    row = {"trace": trace, "since_ms": since_ms, "due_ms": due_ms}
    upsert(conn, waiting, [row], keys=["trace"], update=["due_ms"])


def waiting_since(conn: Connection, trace: int) -> int | None:
    """Return since when a trace (rows of every scope have their own number) waits, or None."""
    return conn.execute(select(waiting.c.since_ms).where(waiting.c.trace == trace)).scalar()


def waited(
    conn: Connection,
    scope: Scope,  # noqa: ARG001 - the rows were found in this scope
    traces: Sequence[int],
) -> None:
    """Wait for traces no longer."""
    conn.execute(delete(waiting).where(waiting.c.trace.in_(traces)))


def waited_of(conn: Connection, traces: Iterable[int]) -> None:
    """Wait no longer for traces of every scope that are gone."""
    conn.execute(delete(waiting).where(waiting.c.trace.in_(list(traces))))


def due(conn: Connection, at_ms: int, limit: int) -> list[int]:
    """Return traces of every scope that were to be asked about again by now."""
    query = select(waiting.c.trace).where(waiting.c.due_ms <= at_ms, waiting.c.trace > 0)
    return [row.trace for row in conn.execute(query.order_by(waiting.c.due_ms).limit(limit))]


def _standing_for(scope_id: int, trace_id: bytes) -> int:
    digest = hashlib.blake2b(b"%d/%b" % (scope_id, trace_id), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


def remember(conn: Connection, keys: Iterable[tuple[int, bytes]], *, at_ms: int, until_ms: int) -> None:
    """Know until `until_ms` that traces of every scope, by (number of the scope, id), were let go of."""
    rows = [{"trace": _standing_for(*key), "since_ms": at_ms, "due_ms": until_ms} for key in keys]
    rows.sort(key=lambda row: row["trace"])  # one order for everybody: no ring of waiting writers
    upsert(conn, waiting, rows, keys=["trace"], update=["due_ms"])


def remembered(conn: Connection, scope_id: int, trace_id: bytes) -> bool:
    """Return whether sampling let go of spans of this trace, of every scope by its number, before."""
    return waiting_since(conn, _standing_for(scope_id, trace_id)) is not None


def forget_remembered(conn: Connection, at_ms: int, limit: int) -> None:
    """Drop up to `limit` of what was to be known until now, of every scope."""
    conn.execute(delete(waiting).where(waiting.c.trace.in_(_outdated(at_ms).limit(limit))))


def outdated(conn: Connection, at_ms: int) -> bool:
    """Return whether there is something to drop, of every scope, that was to be known until now."""
    return conn.execute(_outdated(at_ms).limit(1)).first() is not None


def _outdated(at_ms: int) -> Select[tuple[int]]:
    return select(waiting.c.trace).where(waiting.c.due_ms <= at_ms, waiting.c.trace < 0)
