"""Training runs: environment, inputs, hash, notes, wishes; their artifacts; searches and hosted fine-tuning."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and create the tables."""
    op.add_column("training_runs", sa.Column("environment", Json))
    op.add_column("training_runs", sa.Column("inputs", Json))
    op.add_column("training_runs", sa.Column("weights_hash", sa.String(64)))
    op.add_column("training_runs", sa.Column("note", sa.Text))
    op.add_column("training_runs", sa.Column("wish", sa.String(16)))
    op.add_column("training_runs", sa.Column("search", sa.String(40)))
    op.create_table(
        "training_artifacts",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("path", sa.String(500), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_table(
        "training_searches",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("plan", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(40)),
        sa.Column("error", sa.Text),
        sa.Column("pareto", Json, nullable=False),
        sa.Column("importance", Json, nullable=False),
        sa.Column("wish", sa.String(16)),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("ended_at", UtcTime),
    )
    op.create_index("ix_training_searches_scope", "training_searches", ["tenant", "project", "id"])
    op.create_table(
        "training_trials",
        sa.Column("search_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("values", Json, nullable=False),
        sa.Column("run_id", sa.String(40)),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "training_hosted",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(100), nullable=False),
        sa.Column("plan", Json, nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("remote", Json, nullable=False),
        sa.Column("model", sa.String(300)),
        sa.Column("error", sa.Text),
        sa.Column("wish", sa.String(16)),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
    )
    op.create_index("ix_training_hosted_scope", "training_hosted", ["tenant", "project", "id"])
