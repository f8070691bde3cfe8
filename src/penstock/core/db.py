"""The database: SQLite in WAL mode by default, PostgreSQL as its twin, both through SQLAlchemy Core.

Stores declare their tables on `metadata` and write SQL that both engines run; the few differences
go through `upsert` and `is_sqlite`.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Dialect, MetaData, Table, Text, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator, TypeEngine

from penstock.core import clock
from penstock.core.errors import Busy, Invalid, MissingExtra, StorageFull, Unavailable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every slice's tables, prefixed by the slice's name."""

BUSY_TIMEOUT_MS = 15_000
POSTGRES_MAX_PARAMETERS = 30_000


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since the epoch in a BIGINT (same order on every engine)."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return microseconds since the epoch."""
        return None if value is None else clock.to_ns(value) // 1000

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the aware datetime."""
        return None if value is None else clock.from_ns(int(value) * 1000)


class Json(TypeDecorator[Any]):
    """Any JSON value: TEXT on SQLite, JSONB on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return JSONB on PostgreSQL, TEXT elsewhere."""
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return the value encoded for the dialect; None stays NULL."""
        if value is None or dialect.name == "postgresql":
            return msgspec.to_builtins(value) if value is not None else None
        return msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the decoded value."""
        if value is None or dialect.name == "postgresql":
            return value
        return msgspec.json.decode(value)


def is_sqlite(conn: Connection) -> bool:
    """Whether `conn` speaks to SQLite (else PostgreSQL)."""
    return conn.dialect.name == "sqlite"


def upsert(
    conn: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    update: Sequence[str] | None = None,
) -> int:
    """Insert `rows`; where `keys` clash, set the columns in `update` (None: leave the old row untouched).

    Returns the number of rows inserted or changed.
    """
    if not rows:
        return 0
    insert = sqlite.insert if is_sqlite(conn) else postgresql.insert
    statement: Any = insert(table).execution_options(preserve_rowcount=True)
    if update:
        statement = statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in update}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(keys))
    if len(rows) == 1 or is_sqlite(conn):
        return int(
            conn.execute(statement, [dict(row) for row in rows] if len(rows) > 1 else dict(rows[0])).rowcount
        )
    # psycopg reports no row count for executemany; one statement with many VALUES has one.
    step = max(1, POSTGRES_MAX_PARAMETERS // max(1, len(rows[0])))
    return sum(
        int(conn.execute(statement.values([dict(row) for row in rows[start : start + step]])).rowcount)
        for start in range(0, len(rows), step)
    )


def numbered(conn: Connection, statement: str, values: Sequence[Any]) -> Any:
    """Run a statement on PostgreSQL in its own words, with `$1`, `$2`, … for `values`; returns the driver's cursor.

    For statements with thousands of values: in SQLAlchemy's and psycopg's other ways each `%s` is looked for and put
    together again, which costs more than sending the values. Raises what the other ways raise.
    """
    driver: Any = conn.connection.driver_connection
    dbapi: Any = conn.dialect.dbapi
    try:
        return dbapi.RawCursor(driver).execute(statement, values)
    except dbapi.Error as error:
        if conn.dialect.is_disconnect(error, driver, None):
            conn.invalidate(error)
        raise DBAPIError.instance(statement, None, error, dbapi.Error, dialect=conn.dialect) from error


def _sqlite_connect(path: str, durability: str) -> Callable[[Any, Any], None]:
    synchronous = "FULL" if durability == "power" else "NORMAL"

    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        if path != ":memory:":
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-16000")
        cursor.execute("PRAGMA mmap_size=268435456")
        cursor.execute("PRAGMA journal_size_limit=67108864")
        cursor.close()

    return configure


class Database:
    """One database, shared by every thread of the process; `begin` writes, `read` reads."""

    def __init__(self, url: str, *, durability: str = "process") -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise Invalid(
                "core.database_url is not a database URL.",
                hint="Use postgresql://user:password@host/name, or leave it empty for SQLite.",
            ) from error
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if not self.sqlite and parsed.get_backend_name() != "postgresql":
            raise Invalid(
                f"{parsed.get_backend_name()} is not supported.", hint="Use PostgreSQL 15+ or SQLite."
            )
        pool: dict[str, Any] = {
            "poolclass": QueuePool,
            "pool_size": 8,
            "max_overflow": 24,
            "pool_pre_ping": not self.sqlite,
        }
        if self.sqlite and parsed.database in (None, "", ":memory:"):
            raise Invalid("An in-memory SQLite database cannot be shared by processes; give a file.")
        try:
            self.engine = create_engine(parsed, **pool)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise MissingExtra("postgres", "A PostgreSQL store") from error
        if self.sqlite:
            event.listen(self.engine, "connect", _sqlite_connect(str(parsed.database), durability))
            event.listen(self.engine, "begin", self._begin_sqlite)

    @staticmethod
    def _begin_sqlite(conn: Connection) -> None:
        # The driver runs in autocommit mode; writers take the write lock at once so that two of them
        # queue on busy_timeout instead of failing when a read transaction upgrades.
        immediate = conn.get_execution_options().get("penstock_write", False)
        conn.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Yield a connection in a write transaction; commits when the block ends, rolls back when it raises.

        Raises StorageFull when the disk is full or read-only, Busy when the lock cannot be had in
        15 seconds, Unavailable when PostgreSQL cannot be reached.
        """
        with self._translated(), self.engine.connect() as raw:
            conn = raw.execution_options(penstock_write=True)
            with conn.begin():
                yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent snapshot and is never committed."""
        with self._translated(), self.engine.connect() as conn:
            transaction = conn.begin()
            try:
                yield conn
            finally:
                transaction.rollback()

    def glance(self, query: str, values: Sequence[Any]) -> list[Any]:
        """Return the rows of one query in SQLite's own words, by the driver alone: for what is asked all the time.

        Sees what is committed now; a tenth of the cost of `read`. Raises what `read` raises.
        """
        with self._translated():
            raw = self.engine.raw_connection()
            try:
                driver: Any = raw.driver_connection
                found: list[Any] = driver.execute(query, values).fetchall()
                return found
            except sqlite3.Error as error:
                raise DBAPIError(query, None, error) from error
            finally:
                raw.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise translate(error, self.url.render_as_string(hide_password=True)) from error

    def scrub(self, tables: Sequence[str]) -> bool:
        """Take what was deleted from `tables` out of the files as far as the engine can; False: try again later.

        SQLite: empties the write-ahead log, which holds former pages (the file itself is overwritten as rows go).
        PostgreSQL: VACUUM, after which the room of deleted rows is used again. Neither stops other writers for long.
        """
        with self._translated(), self.engine.connect() as conn:
            if not self.sqlite:
                plain = conn.execution_options(isolation_level="AUTOCOMMIT")
                plain.exec_driver_sql(f"VACUUM {', '.join(tables)}")
                return True
            cursor = conn.connection.cursor()  # the driver's own: a checkpoint is not part of a transaction
            try:
                cursor.execute("PRAGMA busy_timeout=100")  # writers wait while this waits for readers
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                found = cursor.fetchone()
                return found is not None and found[0] == 0
            finally:
                cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
                cursor.close()

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def translate(error: DBAPIError, where: str) -> Exception:
    """Return the PenstockError that tells a person what `error` means, or `error` itself."""
    text = str(error.orig).lower()
    if "disk is full" in text or "no space left" in text or "disk i/o error" in text:
        return StorageFull(
            f"The disk that holds {where} is full; nothing was written.", hint="Free some space."
        )
    if "readonly" in text or "read-only" in text or "unable to open database" in text:
        return StorageFull(
            f"The database {where} cannot be written (read-only or no permission).", hint="Check its folder."
        )
    if "database is locked" in text:
        return Busy(
            "The database is locked by another process.", hint="Try again in a moment.", retry_after=1
        )
    if isinstance(error, DataError):
        return Invalid(f"The database refuses a value: {str(error.orig).splitlines()[0]}.")
    if isinstance(error, OperationalError) and "no such table" not in text and "sqlite" not in where:
        return Unavailable(
            f"The database {where} cannot be reached.", hint="Is PostgreSQL running?", retry_after=2
        )
    return error


def sqlite_url(path: Path) -> str:
    """Return the SQLAlchemy URL of the SQLite file at `path`."""
    return f"sqlite:///{path}"


__all__ = [
    "Database",
    "Json",
    "UtcTime",
    "is_sqlite",
    "metadata",
    "numbered",
    "sqlite_url",
    "translate",
    "upsert",
]
