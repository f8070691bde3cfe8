"""Tables of tracking, and of what MLflow's clients attach to traces, prompts and models."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "tracking_experiments",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "name"),
    )
    op.create_table(
        "tracking_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("experiment_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("user", sa.String(250), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
    )
    op.create_index(
        "ix_tracking_runs_experiment", "tracking_runs", ["tenant", "project", "experiment_id", "started_at"]
    )
    op.create_table(
        "tracking_models",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("experiment_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_index(
        "ix_tracking_models_experiment",
        "tracking_models",
        ["tenant", "project", "experiment_id", "created_at"],
    )
    op.create_table(
        "tracking_params",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "tracking_tags",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "tracking_metrics",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(250), primary_key=True),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Float, primary_key=True, autoincrement=False),
        sa.Column("nan", sa.Boolean, primary_key=True, autoincrement=False),
        sa.Column("run_id", sa.String(40), primary_key=True),
    )
    op.create_table(
        "tracking_latest",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(250), primary_key=True),
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("nan", sa.Boolean, nullable=False),
    )
    op.create_table(
        "tracking_inputs",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("digest", sa.String(100), primary_key=True),
        sa.Column("source_type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("context", sa.String(500), nullable=False),
    )
    op.create_table(
        "tracking_uses",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column("model_id", sa.String(40), primary_key=True),
        sa.Column("role", sa.String(10), primary_key=True),
        sa.Column("step", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tracking_artifacts",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("root", sa.String(40), primary_key=True),
        sa.Column("path", sa.String(1000), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_table(
        "mlflow_traces",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("trace_id", sa.String(32), primary_key=True),
        sa.Column("experiment_id", sa.String(40), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("request_preview", sa.Text, nullable=False),
        sa.Column("response_preview", sa.Text, nullable=False),
        sa.Column("client_request_id", sa.String(250), nullable=False),
        sa.Column("applied", Json, nullable=False),
    )
    op.create_index(
        "ix_mlflow_traces_experiment", "mlflow_traces", ["tenant", "project", "experiment_id", "at_ms"]
    )
    op.create_table(
        "mlflow_trace_runs",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("trace_id", sa.String(32), primary_key=True),
    )
    op.create_table(
        "mlflow_assessments",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("feedback_id", sa.String(40), nullable=False),
    )
    op.create_index(
        "ix_mlflow_assessments_trace", "mlflow_assessments", ["tenant", "project", "trace_id", "id"]
    )
    op.create_table(
        "mlflow_names",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("target", sa.String(100), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_table(
        "mlflow_versions",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("target", sa.String(100), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("model_id", sa.String(40), nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_table(
        "mlflow_datasets",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("experiments", Json, nullable=False),
        sa.Column("created_by", sa.String(250), nullable=False),
        sa.Column("updated_by", sa.String(250), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_index("ix_mlflow_datasets_scope", "mlflow_datasets", ["tenant", "project", "id"])
    op.create_table(
        "mlflow_records",
        sa.Column("dataset_id", sa.String(40), primary_key=True),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("body", Json, nullable=False),
    )
    op.create_index("ix_mlflow_records_dataset", "mlflow_records", ["dataset_id", "id"])
