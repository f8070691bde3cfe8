"""What has just arrived."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text

from penstock.core.scope import Scope
from penstock.traces import body, words
from penstock.traces.store.read import scope_id


def newest(conn: Connection) -> int:
    """Return the highest row number of a span of every scope."""
    return int(conn.execute(text("SELECT coalesce(max(id), 0) FROM traces_spans")).scalar_one())


def arrived(conn: Connection, scope: Scope, *, after: int, limit: int) -> list[tuple[int, int]]:
    """Return (row number, trace) of the newest spans above the row `after`, newest first, at most `limit`."""
    query = text(
        "SELECT id, trace FROM traces_spans WHERE id > :after AND +scope_id = :scope ORDER BY id DESC LIMIT :limit"
    )
    values = {"after": after, "scope": scope_id(conn, scope), "limit": limit}
    return [(row.id, row.trace) for row in conn.execute(query, values)]


def saying(conn: Connection, scope: Scope, traces: Sequence[int], q: str) -> set[int]:
    """Return those of the traces in which one span holds all words of `q`: for what is not in the index yet."""
    number = scope_id(conn, scope)
    wanted = set(words.wanted(q, number))
    query = text(
        "SELECT s.trace, s.name, s.error, b.data FROM traces_spans s JOIN traces_bodies b ON b.id = s.id "
        "WHERE s.trace IN :traces AND s.scope_id = :scope"
    ).bindparams(bindparam("traces", expanding=True))
    found: set[int] = set()
    row: Any
    for row in conn.execute(query, {"traces": list(traces), "scope": number}):
        if row.trace not in found:
            unpacked = body.unpack(bytes(row.data))
            said = words.of_span(row.name, row.error, unpacked.input, unpacked.output)
            if wanted and wanted <= set(words.indexed(said, number).split()):
                found.add(row.trace)
    return found
