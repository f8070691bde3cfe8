"""What has just arrived."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces.model import TraceSummary
from penstock.traces.query.nodes import Node
from penstock.traces.store.deadline import Deadline
from penstock.traces.store.read import scope_id
from penstock.traces.store.search import Search


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


def meeting(
    conn: Connection,
    scope: Scope,
    node: Node | None,
    traces: Sequence[int],
    *,
    now: datetime,
    deadline: Deadline,
) -> dict[int, TraceSummary]:
    """Return those of the traces that `node` asks for, also where the full-text index does not know them yet."""
    search = Search(conn, scope, node, now=now, deadline=deadline, fresh=True)
    return search.meeting(traces)
