"""Tables of logs and of OpenTelemetry's metrics."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from penstock.core.db import metadata
from penstock.traces.store.tables import RowId

logs = Table(
    "traces_logs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("scope_id", Integer, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("trace_id", LargeBinary(16)),
    Column("span_id", LargeBinary(8)),
    Column("severity", SmallInteger, nullable=False),
    Column("joins", Boolean, nullable=False),
    Column("event", Text),
    Column("service", Text),
    Column("response_id", Text),
    Column("preview", Text, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("scope_id", "digest"),
    Index("ix_traces_logs_at", "scope_id", "at_ns", "id"),
    Index("ix_traces_logs_trace", "scope_id", "trace_id", "span_id"),
    Index(
        "ix_traces_logs_response",
        "scope_id",
        "response_id",
        sqlite_where=text("response_id IS NOT NULL AND span_id IS NULL"),
        postgresql_where=text("response_id IS NOT NULL AND span_id IS NULL"),
    ),
    sqlite_autoincrement=True,
)
"""`joins`: an event that is joined to its span, also when that arrives later. `digest` knows a record sent again.

`response_id`: the answer that an event without a span is about; it is given the span once there is one."""

metric_series = Table(
    "traces_metric_series",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("scope_id", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    UniqueConstraint("scope_id", "digest"),
    Index("ix_traces_metric_series_name", "scope_id", "name"),
    sqlite_autoincrement=True,
)
"""One per name, kind, unit and labels (a JSON object of the attributes that are kept)."""

metric_points = Table(
    "traces_metric_points",
    metadata,
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("sum", Float, nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("buckets", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""What was reported in the hour that begins at `hour` (seconds since the epoch). Buckets: MessagePack of
[[upper bound, count], …]."""

metric_streams = Table(
    "traces_metric_streams",
    metadata,
    Column("scope_id", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("series", BigInteger, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("sum", Float, nullable=False),
    Column("buckets", LargeBinary, nullable=False),
    Index("ix_traces_metric_streams_at", "at_ns"),
    sqlite_with_rowid=False,
)
"""The last point of each reporter's stream: what a cumulative one adds, and whether a point was sent before."""
