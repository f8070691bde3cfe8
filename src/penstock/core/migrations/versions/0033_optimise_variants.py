"""Optimisations and the variants they measured."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "optimise_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("parent", sa.String(200), nullable=False),
        sa.Column("suite", Json),
        sa.Column("choose", Json, nullable=False),
        sa.Column("trial", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(40)),
        sa.Column("chosen", sa.String(200)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("ended_at", UtcTime),
    )
    op.create_index("ix_optimise_runs_scope", "optimise_runs", ["tenant", "project", "id"])
    op.create_index("ix_optimise_runs_parent", "optimise_runs", ["tenant", "project", "parent", "id"])
    op.create_table(
        "optimise_variants",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.String(200)),
        sa.Column("runner", sa.String(64), nullable=False),
        sa.Column("figures", Json),
        sa.Column("quality", Json),
        sa.Column("error", sa.Text),
    )
