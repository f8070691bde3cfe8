"""Rewriting the log records of a trace without what must not be known any more."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, text

from penstock.core.db import is_sqlite
from penstock.core.scope import Scope
from penstock.traces import body, documents
from penstock.traces.log_model import LogContent
from penstock.traces.store import logs, read
from penstock.traces.store.prepare import clean
from penstock.traces.store.sql import WRITERS_LOCK

_PREVIEW_CHARS = 1000
_content = msgspec.msgpack.Decoder(LogContent)

Change = Callable[[str | None, LogContent], LogContent]
"""(name of the event, what it says) → what is left of it."""


class ChangedLog(NamedTuple):
    """A record and what is left of it."""

    id: int
    content: LogContent


def changed_logs(conn: Connection, scope: Scope, trace_id: bytes, change: Change) -> list[ChangedLog]:
    """Return the records of a trace that `change` changes."""
    query = text("SELECT id, event, data FROM traces_logs WHERE scope_id = :scope AND trace_id = :trace")
    found = []
    for row in conn.execute(query, {"scope": read.scope_id(conn, scope), "trace": trace_id}):
        held = _content.decode(body.unpack_any(bytes(row.data)))
        new = change(row.event, held)
        if new != held:
            found.append(ChangedLog(row.id, new))
    return found


def hold(conn: Connection, scope: Scope, trace: int) -> bool:
    """Keep a trace (row number) from being hidden or deleted until the transaction ends; False when it is already.

    On PostgreSQL the locks are taken in the order of writers, so that nobody waits in a ring.
    """
    query = "SELECT id FROM traces_traces WHERE id = :trace AND scope_id = :scope"
    if not is_sqlite(conn):
        logs.lock(conn, alone=False)
        conn.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": WRITERS_LOCK})
        query += " FOR UPDATE"
    found = conn.execute(text(query), {"trace": trace, "scope": read.scope_id(conn, scope)}).first()
    return found is not None


def rewrite_logs(conn: Connection, scope: Scope, changed: Sequence[ChangedLog]) -> None:
    """Store what is left; a record that is sent again is still known by its digest, and not stored again."""
    query = text(
        "UPDATE traces_logs SET preview = :preview, service = :service, data = :data "
        "WHERE scope_id = :scope AND id = :id"
    )
    for record in changed:
        service = record.content.resource.get("service.name")
        values: dict[str, Any] = {
            "preview": clean(_said(record.content.body), _PREVIEW_CHARS),
            "service": clean(documents.as_text(service), 200) if service else None,
            "data": body.pack_any(record.content),
        }
        conn.execute(query, values | {"scope": read.scope_id(conn, scope), "id": record.id})


def _said(value: Any) -> str:
    return value or "" if isinstance(value, str | None) else documents.encode(value).decode()
