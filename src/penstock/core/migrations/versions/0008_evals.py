"""Tables of evals."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evals_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("suite", sa.String(200), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("dataset_version", sa.String(64), nullable=False),
        sa.Column("dataset_hash", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("model", sa.String(300), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("job_id", sa.String(40)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("finished_at", UtcTime),
        sa.UniqueConstraint("tenant", "project", "key"),
    )
    op.create_index("ix_evals_runs_scope", "evals_runs", ["tenant", "project", "id"])
    _create_samples()
    op.create_table(
        "evals_metrics",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("split", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("higher_is_better", sa.Boolean, nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
    )
    op.create_table(
        "evals_gates",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("baseline_id", sa.String(40)),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("rules", Json, nullable=False),
        sa.Column("checks", Json, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_index("ix_evals_gates_scope", "evals_gates", ["tenant", "project", "id"])
    op.create_index("ix_evals_gates_run", "evals_gates", ["run_id"])


def _create_samples() -> None:
    op.create_table(
        "evals_samples",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("sample_id", sa.String(200), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("split", sa.String(64), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("messages", Json, nullable=False),
        sa.Column("reference_texts", Json, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("latency_s", sa.Float),
        sa.Column("ttft_s", sa.Float),
        sa.Column("input_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("finish_reason", sa.String(64), nullable=False),
        sa.Column("trace_id", sa.String(64)),
        sa.Column("scores", Json, nullable=False),
        sa.Column("sums", Json, nullable=False),
        sa.Column("finished_at", UtcTime, nullable=False),
    )
    op.create_index("ix_evals_samples_order", "evals_samples", ["run_id", "ordinal"])
