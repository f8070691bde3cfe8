"""Revision counters: a cheap way for every process to notice that shared configuration changed."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Connection, String, Table, select

from penstock.core.db import Database, metadata, upsert

revisions = Table(
    "core_revisions",
    metadata,
    Column("topic", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
)


def bump(conn: Connection, topic: str) -> None:
    """Add one to `topic`'s counter in the caller's transaction."""
    upsert(conn, revisions, [{"topic": topic, "number": 0}], keys=["topic"])
    conn.execute(revisions.update().where(revisions.c.topic == topic).values(number=revisions.c.number + 1))


def current(db: Database, topics: Sequence[str]) -> tuple[int, ...]:
    """Return the counter of each topic, 0 when it was never bumped; all are as they were at one moment."""
    if db.sqlite:
        marks = ", ".join("?" * len(topics))
        query = f"SELECT topic, number FROM core_revisions WHERE topic IN ({marks})"
        found = dict(db.glance(query, topics))
    else:
        with db.read() as conn:
            rows = conn.execute(select(revisions).where(revisions.c.topic.in_(topics)))
            found = {row.topic: row.number for row in rows}
    return tuple(found.get(topic, 0) for topic in topics)
