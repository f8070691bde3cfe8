"""Tables of the MLflow slice."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from penstock.core.db import Json, UtcTime, metadata

traces = Table(
    "mlflow_traces",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("trace_id", String(32), primary_key=True),
    Column("experiment_id", String(40), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger),
    Column("state", String(20), nullable=False),
    Column("metadata", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("request_preview", Text, nullable=False),
    Column("response_preview", Text, nullable=False),
    Column("client_request_id", String(250), nullable=False),
    Column("applied", Json, nullable=False),
    Index("ix_mlflow_traces_experiment", "tenant", "project", "experiment_id", "at_ms"),
)
trace_runs = Table(
    "mlflow_trace_runs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("run_id", String(40), primary_key=True),
    Column("trace_id", String(32), primary_key=True),
)
assessments = Table(
    "mlflow_assessments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("name", String(250), nullable=False),
    Column("body", Json, nullable=False),
    Column("feedback_id", String(40), nullable=False),
    Index("ix_mlflow_assessments_trace", "tenant", "project", "trace_id", "id"),
)
names = Table(
    "mlflow_names",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("name", String(500), primary_key=True),
    Column("target", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
versions = Table(
    "mlflow_versions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("target", String(100), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("source", Text, nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("model_id", String(40), nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
datasets = Table(
    "mlflow_datasets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(500), nullable=False),
    Column("tags", Json, nullable=False),
    Column("schema", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("experiments", Json, nullable=False),
    Column("created_by", String(250), nullable=False),
    Column("updated_by", String(250), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index("ix_mlflow_datasets_scope", "tenant", "project", "id"),
)
records = Table(
    "mlflow_records",
    metadata,
    Column("dataset_id", String(40), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("id", String(40), nullable=False),
    Column("body", Json, nullable=False),
    Index("ix_mlflow_records_dataset", "dataset_id", "id"),
)
