"""The installation's own name: a random id in its database, made once."""

from sqlalchemy import Column, Connection, Integer, String, Table, select

from penstock.core import ids
from penstock.core.db import metadata, upsert

installation = Table(
    "core_installation",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("id", String(40), nullable=False),
)
_ONLY = 1


def name_of(conn: Connection) -> str:
    """Return the id of the installation whose database this is, made in the caller's transaction if need be."""
    upsert(conn, installation, [{"only": _ONLY, "id": ids.new_id("ins")}], keys=["only"])
    return str(conn.execute(select(installation.c.id)).scalar_one())
