"""Evaluations: paid calls, attempts, stored suites, calibrated judges, and what a sample needs besides its text."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and add the columns."""
    op.add_column("evals_runs", sa.Column("progress", Json))
    op.add_column("evals_samples", sa.Column("cost_usd", sa.Float))
    op.add_column("evals_samples", sa.Column("extra", Json))
    op.add_column("evals_samples", sa.Column("notes", Json))
    op.add_column("evals_samples", sa.Column("score_error", sa.Text))
    op.create_table(
        "evals_attempts",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("sample_id", sa.String(200), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("failed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "evals_calls",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("sample_id", sa.String(200), nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("cost_usd", sa.Float),
        sa.Column("reserved_at", UtcTime, nullable=False),
        sa.Column("answered_at", UtcTime),
    )
    op.create_index("ix_evals_calls_run", "evals_calls", ["run_id", "role"])
    op.create_table(
        "evals_suites",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("spec", Json, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
    )
    _judges()


def _judges() -> None:
    op.create_table(
        "evals_judges",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("judge", sa.String(64), nullable=False),
        sa.Column("scorer", sa.String(200), nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("metric", sa.String(200), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("may_gate", sa.Boolean, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_index("ix_evals_judges_judge", "evals_judges", ["tenant", "project", "judge", "metric", "id"])
