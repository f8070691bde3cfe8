"""Logs and OpenTelemetry's metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_ROW = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "traces_logs",
        sa.Column("id", _ROW, primary_key=True),
        sa.Column("scope_id", sa.Integer, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("trace_id", sa.LargeBinary(16)),
        sa.Column("span_id", sa.LargeBinary(8)),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("joins", sa.Boolean, nullable=False),
        sa.Column("event", sa.Text),
        sa.Column("service", sa.Text),
        sa.Column("preview", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("scope_id", "digest"),
        sa.Index("ix_traces_logs_at", "scope_id", "at_ns", "id"),
        sa.Index("ix_traces_logs_trace", "scope_id", "trace_id", "span_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "traces_metric_series",
        sa.Column("id", _ROW, primary_key=True),
        sa.Column("scope_id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.UniqueConstraint("scope_id", "digest"),
        sa.Index("ix_traces_metric_series_name", "scope_id", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "traces_metric_points",
        sa.Column("series", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("sum", sa.Float, nullable=False),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("buckets", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "traces_metric_streams",
        sa.Column("scope_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("series", sa.BigInteger, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("sum", sa.Float, nullable=False),
        sa.Column("buckets", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_traces_metric_streams_at", "traces_metric_streams", ["at_ns"])
    op.execute("INSERT INTO traces_marks (name, value) VALUES ('signals', 0)")
