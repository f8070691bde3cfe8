"""Rows of other databases by SQLAlchemy: read only, streamed, and without ever showing a password."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from penstock.core.errors import Invalid, Upstream
from penstock.datasets.request import Feed

_FETCH = 1000
"""Rows that are in memory at once."""


def feed(url: str, query: str, *, key: str | None = None, label: str = "") -> Feed:
    """Return the rows of `query` on the database at `url`.

    With `key`, a column of the result that identifies a row, rows come in its order and an ingest that is
    cut short goes on where it was. The record has address and query, never user, password or options.
    Raises Invalid for an address that is none or needs a driver that is missing.
    """
    parsed = _parse(url)
    if not query.strip().strip(";"):
        raise Invalid("The query is empty.", hint="Write for example SELECT * FROM tickets.")
    address = shown(parsed)

    def rows(skip: int) -> Iterator[Mapping[str, Any]]:
        engine = _engine(parsed)
        try:
            with engine.connect() as connection:
                yield from islice(_rows(connection, query, key), skip, None)
        except SQLAlchemyError as error:
            raise _complaint(error, parsed, address) from error
        finally:
            engine.dispose()

    identity = "\0".join((address, parsed.username or "", query, key or ""))
    return Feed(
        name=label or address,
        format="sql",
        rows=rows,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest() if key else "",
        detail={"database": address, "query": query, **({"key": key} if key else {})},
    )


def shown(url: URL) -> str:
    """Return the address without user, password and options."""
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        # The text is not repeated: it may hold a password.
        raise Invalid(
            "The database address is not a URL that SQLAlchemy knows.",
            hint="Write for example postgresql+psycopg://user:password@host/database or sqlite:///file.db.",
        ) from None


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url, poolclass=NullPool)
    except NoSuchModuleError as error:
        raise Invalid(
            f"There is no dialect {url.drivername!r}.", hint="Install its SQLAlchemy package."
        ) from error
    except ModuleNotFoundError as error:
        raise Invalid(
            f"{url.drivername} needs the driver {error.name!r}, which is not installed.",
            hint="Install it, for example pip install 'penstock[postgres]' for PostgreSQL.",
        ) from error


def _rows(connection: Connection, query: str, key: str | None) -> Iterator[Mapping[str, Any]]:
    # Without parameters the driver leaves % and : in the query alone.
    options: dict[str, Any] = {"stream_results": True, "yield_per": _FETCH, "no_parameters": True}
    if connection.dialect.name == "postgresql":
        connection = connection.execution_options(postgresql_readonly=True)
    elif connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    text = query.strip().rstrip(";")
    if key is not None:
        quoted = connection.dialect.identifier_preparer.quote(key)
        text = f"SELECT * FROM (\n{text}\n) penstock_rows ORDER BY {quoted}"
    found = connection.exec_driver_sql(text, execution_options=options)
    if not found.returns_rows:
        raise Invalid("The query gives no rows.", hint="Only a query that reads can be pulled.")
    names = list(found.keys())
    for values in found:
        yield dict(zip(names, values, strict=True))


def _complaint(error: SQLAlchemyError, url: URL, address: str) -> Exception:
    told = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    if url.password:
        told = told.replace(str(url.password), "***")
    message = f"{address}: {told.splitlines()[0] if told else type(error).__name__}."
    # What the driver calls operational: no connection, or one that broke.
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or "OperationalError" in type(error).__name__
    ):
        return Upstream(message, hint="Check address, access and query; then pull again.")
    return Invalid(message, hint="Check the query.")
