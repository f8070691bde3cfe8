"""Revision counters: a cheap way for every process to notice that shared configuration changed."""

from sqlalchemy import BigInteger, Column, Connection, String, Table, select

from penstock.core.db import metadata, upsert

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


def current(conn: Connection, topic: str) -> int:
    """Return `topic`'s counter; 0 when it was never bumped."""
    return conn.execute(select(revisions.c.number).where(revisions.c.topic == topic)).scalar() or 0
