"""Tables of prompt optimisation."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evals_optimisations",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("prompt", sa.String(200), nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("metric", sa.String(200), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("steps", Json, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("spent", Json, nullable=False),
        sa.Column("best", sa.String(16)),
        sa.Column("pareto", Json, nullable=False),
        sa.Column("cost_unit", sa.String(16), nullable=False),
        sa.Column("accepted", Json),
        sa.Column("job_id", sa.String(40)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("finished_at", UtcTime),
        sa.UniqueConstraint("tenant", "project", "key"),
    )
    op.create_index("ix_evals_optimisations_scope", "evals_optimisations", ["tenant", "project", "id"])
    op.create_table(
        "evals_optimise_candidates",
        sa.Column("optimisation_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
    )
    op.create_table(
        "evals_optimise_rows",
        sa.Column("optimisation_id", sa.String(40), primary_key=True),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("sample_id", sa.String(200), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("row", sa.Text, nullable=False),
    )
