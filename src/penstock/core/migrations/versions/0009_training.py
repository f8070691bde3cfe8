"""Tables of training: runs and their metrics."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "training_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("recipe", Json, nullable=False),
        sa.Column("base", sa.String(200), nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(40)),
        sa.Column("progress", Json, nullable=False),
        sa.Column("examples", Json, nullable=False),
        sa.Column("metrics", Json, nullable=False),
        sa.Column("model", sa.String(200)),
        sa.Column("error", sa.Text),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("ended_at", UtcTime),
        sa.UniqueConstraint("tenant", "project", "key"),
    )
    op.create_index("ix_training_runs_scope", "training_runs", ["tenant", "project", "id"])
    op.create_table(
        "training_metrics",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("values", Json, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
