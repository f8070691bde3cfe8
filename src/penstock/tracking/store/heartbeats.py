"""SQL of heartbeats: which runs promised one and are silent."""

from datetime import UTC, datetime

from sqlalchemy import Connection, select

from penstock.core.scope import Scope
from penstock.tracking.model import HEARTBEAT_TAG, Run, RunStatus, State
from penstock.tracking.store.tables import runs, tags
from penstock.tracking.store.things import bare

MOST = 1000
"""Runs looked at in one transaction."""


def written(moment: datetime) -> str:
    """Return a moment as texts of which the earlier one sorts first."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def silent_since(conn: Connection, moment: datetime, limit: int = MOST) -> list[tuple[Scope, Run, datetime]]:
    """Return running runs of every scope whose last heartbeat is older than `moment`, each with when that was."""
    query = (
        select(runs, tags.c.value.label("heard"))
        .join(tags, (tags.c.owner == runs.c.id) & (tags.c.key == HEARTBEAT_TAG))
        .where(runs.c.status == str(RunStatus.RUNNING), runs.c.state == str(State.ACTIVE))
        .where(tags.c.value < written(moment))
        .limit(limit)
    )
    return [
        (Scope(row.tenant, row.project), bare(row), datetime.fromisoformat(row.heard))
        for row in conn.execute(query)
    ]
