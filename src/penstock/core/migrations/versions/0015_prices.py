"""Prices of a project's own: every class of tokens, and every version stays."""

import sqlalchemy as sa
from alembic import op

from penstock.core import clock
from penstock.core.db import Json, UtcTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and move what the old one holds."""
    new = op.create_table(
        "traces_price_versions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("price", Json, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
        sa.Index("ix_traces_price_versions_scope", "tenant", "project", "ended_at"),
    )
    old = sa.Table("traces_prices", sa.MetaData(), autoload_with=op.get_bind())
    rows = op.get_bind().execute(sa.select(old).with_only_columns(*old.c)).mappings()
    moved = [_moved(row) for row in rows]
    if moved:
        op.get_bind().execute(sa.insert(new), moved)
    op.drop_table("traces_prices")


def _moved(row: sa.RowMapping) -> dict[str, object]:
    price = {
        name: row[name] for name in ("input", "output", "cached", "cache_write") if row[name] is not None
    }
    kept = {name: row[name] for name in ("id", "tenant", "project", "model", "provider")}
    created = clock.from_ns(row["created_at"] * 1000)
    return {**kept, "price": price, "created_at": created, "ended_at": None}
