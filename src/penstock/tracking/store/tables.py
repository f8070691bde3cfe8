"""Tables of tracking."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, String, Table, Text, UniqueConstraint

from penstock.core.db import Json, UtcTime, metadata

experiments = Table(
    "tracking_experiments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(500), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "name"),
)
runs = Table(
    "tracking_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("experiment_id", String(40), nullable=False),
    Column("name", String(500), nullable=False),
    Column("status", String(16), nullable=False),
    Column("user", String(250), nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index("ix_tracking_runs_experiment", "tenant", "project", "experiment_id", "started_at"),
)
models = Table(
    "tracking_models",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("experiment_id", String(40), nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("name", String(500), nullable=False),
    Column("type", String(100), nullable=False),
    Column("status", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index("ix_tracking_models_experiment", "tenant", "project", "experiment_id", "created_at"),
)
params = Table(
    "tracking_params",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
tags = Table(
    "tracking_tags",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
metrics = Table(
    "tracking_metrics",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Float, primary_key=True, autoincrement=False),
    Column("nan", Boolean, primary_key=True, autoincrement=False),
    Column("run_id", String(40), primary_key=True),
)
latest = Table(
    "tracking_latest",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("run_id", String(40), primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("value", Float, nullable=False),
    Column("nan", Boolean, nullable=False),
)
inputs = Table(
    "tracking_inputs",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("name", String(500), primary_key=True),
    Column("digest", String(100), primary_key=True),
    Column("source_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("context", String(500), nullable=False),
)
uses = Table(
    "tracking_uses",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("model_id", String(40), primary_key=True),
    Column("role", String(10), primary_key=True),
    Column("step", BigInteger, nullable=False),
)
artifacts = Table(
    "tracking_artifacts",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("root", String(40), primary_key=True),
    Column("path", String(1000), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
