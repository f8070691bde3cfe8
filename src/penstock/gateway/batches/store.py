"""SQL of files, batches and their finished lines."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.batches.model import Batch, BatchState, Line, StoredFile

files = Table(
    "gateway_files",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Index("ix_gateway_files_scope", "tenant", "project", "id"),
)
batches = Table(
    "gateway_batches",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("job_id", String(40), nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("input_file", String(40), nullable=False),
    Column("window", String(16), nullable=False),
    Column("metadata", Json),
    Column("output_seconds", Integer),
    Column("state", String(16), nullable=False),
    Column("errors", Json),
    Column("output_file", String(40)),
    Column("error_file", String(40)),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("moments", Json, nullable=False),
    Index("ix_gateway_batches_scope", "tenant", "project", "id"),
)
lines = Table(
    "gateway_batch_lines",
    metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("good", Boolean, nullable=False),
    Column("result", LargeBinary, nullable=False),
)
OPEN = tuple(str(state) for state in BatchState if not state.ended)


class Window(NamedTuple):
    """Which part of a list: `owner` None means everybody's, `after` an id to go on from."""

    owner: str | None
    after: str | None
    limit: int
    ascending: bool = False
    purpose: str | None = None


def _within(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def _file(row: Any) -> StoredFile:
    return StoredFile(
        id=row.id,
        scope=Scope(row.tenant, row.project),
        owner=row.owner,
        filename=row.filename,
        purpose=row.purpose,
        size=row.size,
        sha256=row.sha256,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def insert_file(conn: Connection, file: StoredFile) -> None:
    """Store a new file."""
    row = {name: getattr(file, name) for name in ("id", "owner", "filename", "purpose", "size", "sha256")}
    times = {"created_at": file.created_at, "expires_at": file.expires_at}
    conn.execute(insert(files).values(tenant=file.scope.tenant, project=file.scope.project, **row, **times))


def file_by_id(conn: Connection, scope: Scope, file_id: str, at: datetime) -> StoredFile | None:
    """Return a file that has not expired at the moment `at`."""
    living = or_(files.c.expires_at.is_(None), files.c.expires_at > at)
    row = conn.execute(select(files).where(_within(files, scope), files.c.id == file_id, living)).first()
    return None if row is None else _file(row)


def list_files(conn: Connection, scope: Scope, window: Window, at: datetime) -> list[StoredFile]:
    """Return a part of the project's files that have not expired."""
    living = or_(files.c.expires_at.is_(None), files.c.expires_at > at)
    query = _cut(select(files).where(_within(files, scope), living), files, window)
    if window.purpose is not None:
        query = query.where(files.c.purpose == window.purpose)
    return [_file(row) for row in conn.execute(query)]


def _cut(query: Any, table: Table, window: Window) -> Any:
    if window.owner is not None:
        query = query.where(table.c.owner == window.owner)
    if window.after is not None:
        query = query.where(table.c.id > window.after if window.ascending else table.c.id < window.after)
    order = table.c.id.asc() if window.ascending else table.c.id.desc()
    return query.order_by(order).limit(window.limit)


def bytes_stored(conn: Connection, scope: Scope) -> int:
    """Return the size of all files of the project."""
    total = conn.execute(select(func.sum(files.c.size)).where(_within(files, scope))).scalar()
    return int(total or 0)


def delete_file(conn: Connection, file: StoredFile) -> None:
    """Remove a file's row."""
    conn.execute(delete(files).where(_within(files, file.scope), files.c.id == file.id))


def expired_files(conn: Connection, at: datetime, limit: int) -> list[StoredFile]:
    """Return files of every scope whose time is over."""
    rows = conn.execute(select(files).where(files.c.expires_at <= at).limit(limit))
    return [_file(row) for row in rows]


def _batch(row: Any) -> Batch:
    same = ("id", "owner", "job_id", "endpoint", "input_file", "window", "metadata", "output_seconds")
    more = (
        "output_file",
        "error_file",
        "total",
        "completed",
        "failed",
        "created_at",
        "expires_at",
        "moments",
    )
    return Batch(
        scope=Scope(row.tenant, row.project),
        state=BatchState(row.state),
        errors=tuple(row.errors or ()),
        **{name: getattr(row, name) for name in (*same, *more)},
    )


def insert_batch(conn: Connection, batch: Batch) -> None:
    """Store a new batch."""
    conn.execute(
        insert(batches).values(
            tenant=batch.scope.tenant,
            project=batch.scope.project,
            state=str(batch.state),
            moments={},
            **{
                name: getattr(batch, name)
                for name in (
                    "id", "owner", "job_id", "endpoint", "input_file", "window", "metadata", "output_seconds",
                    "total", "completed", "failed", "created_at", "expires_at",
                )
            },
        )
    )  # fmt: skip


def batch_by_id(conn: Connection, scope: Scope, batch_id: str) -> Batch | None:
    """Return a batch."""
    row = conn.execute(select(batches).where(_within(batches, scope), batches.c.id == batch_id)).first()
    return None if row is None else _batch(row)


def list_batches(conn: Connection, scope: Scope, window: Window) -> list[Batch]:
    """Return a part of the project's batches."""
    query = _cut(select(batches).where(_within(batches, scope)), batches, window)
    return [_batch(row) for row in conn.execute(query)]


def count_open(conn: Connection, scope: Scope) -> int:
    """Return how many batches of the project have not ended."""
    query = (
        select(func.count()).select_from(batches).where(_within(batches, scope), batches.c.state.in_(OPEN))
    )
    return int(conn.execute(query).scalar() or 0)


def uses_open(conn: Connection, file: StoredFile) -> bool:
    """Whether a batch that has not ended reads the file."""
    query = select(batches.c.id).where(
        _within(batches, file.scope), batches.c.input_file == file.id, batches.c.state.in_(OPEN)
    )
    return conn.execute(query.limit(1)).first() is not None


def change_batch(
    conn: Connection, batch: Batch, values: dict[str, Any], *, state: BatchState, at: int
) -> bool:
    """Move a batch from its state to `state` at `at` (epoch seconds); False when it is in another by now."""
    moments = {**batch.moments, str(state): at}
    where = _within(batches, batch.scope) & (batches.c.id == batch.id) & (batches.c.state == str(batch.state))
    changed = conn.execute(update(batches).where(where).values(state=str(state), moments=moments, **values))
    return changed.rowcount == 1


def add_lines(conn: Connection, batch: Batch, finished: Sequence[Line]) -> None:
    """Store finished lines and count them; a line that was stored before is left as it is."""
    good = bad = 0
    for line in finished:
        row = {"batch_id": batch.id, "number": line.number, "good": line.good, "result": line.result}
        added = upsert(conn, lines, [row], keys=["batch_id", "number"])
        good, bad = good + (added if line.good else 0), bad + (0 if line.good else added)
    where = _within(batches, batch.scope) & (batches.c.id == batch.id)
    counts = {"completed": batches.c.completed + good, "failed": batches.c.failed + bad}
    conn.execute(update(batches).where(where).values(counts))


def finished_numbers(conn: Connection, batch: Batch) -> set[int]:
    """Return the numbers of the lines that are done."""
    return {row.number for row in conn.execute(select(lines.c.number).where(lines.c.batch_id == batch.id))}


def iterate_lines(conn: Connection, batch: Batch, *, good: bool) -> Iterator[bytes]:
    """Yield the results of one kind, in the order of the input."""
    query = select(lines.c.result).where(lines.c.batch_id == batch.id, lines.c.good == good)
    for row in conn.execution_options(yield_per=100).execute(query.order_by(lines.c.number)):
        yield bytes(row.result)


def delete_lines(conn: Connection, batch: Batch) -> None:
    """Forget the lines of a batch: they are in its files now."""
    conn.execute(delete(lines).where(lines.c.batch_id == batch.id))


def blobs_named(conn: Connection) -> Iterator[str]:
    """Yield the blob of every file of every scope."""
    yield from conn.execute(select(files.c.sha256), execution_options={"yield_per": 1000}).scalars()
