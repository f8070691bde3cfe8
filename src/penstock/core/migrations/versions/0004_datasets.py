"""Tables of datasets: datasets and their versions."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "name"),
    )
    op.create_table(
        "datasets_versions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("splits", Json, nullable=False),
        sa.Column("schema", Json, nullable=False),
        sa.Column("profile", Json, nullable=False),
        sa.Column("quarantined", sa.BigInteger, nullable=False),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.Column("recipe", Json),
        sa.Column("recipe_report", Json, nullable=False),
        sa.Column("source", Json, nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("split_plan", Json),
        sa.Column("lineage", Json, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("table_version", sa.BigInteger, nullable=False),
        sa.Column("left_out_blob", sa.String(64), nullable=False),
        sa.UniqueConstraint("tenant", "project", "dataset", "number"),
        sa.UniqueConstraint("tenant", "project", "dataset", "hash"),
    )
