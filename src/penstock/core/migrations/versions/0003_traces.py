"""Tables of traces."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _traces()
    _spans()
    _facets()
    _rollups()
    _text()


def _traces() -> None:
    op.create_table(
        "traces_scopes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.UniqueConstraint("tenant", "project"),
    )
    op.create_table(
        "traces_traces",
        sa.Column("id", RowId, primary_key=True),
        sa.Column("scope_id", sa.Integer, nullable=False),
        sa.Column("trace_id", sa.LargeBinary(16), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("duration_ns", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("root", sa.LargeBinary(8)),
        sa.Column("spans", sa.Integer, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_nano", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("session", sa.Text),
        sa.Column("route", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("environment", sa.Text),
        sa.UniqueConstraint("scope_id", "trace_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_traces_traces_at", "traces_traces", ["scope_id", "at_ms", "id"])
    op.create_index("ix_traces_traces_slow", "traces_traces", ["scope_id", "duration_ns"])


def _spans() -> None:
    op.create_table(
        "traces_spans",
        sa.Column("id", RowId, primary_key=True),
        sa.Column("scope_id", sa.Integer, nullable=False),
        sa.Column("trace", sa.BigInteger, nullable=False),
        sa.Column("span_id", sa.LargeBinary(8), nullable=False),
        sa.Column("parent_id", sa.LargeBinary(8)),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("ttft_ns", sa.BigInteger),
        sa.Column("model", sa.Text),
        sa.Column("requested_model", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("tokens_estimated", sa.Boolean, nullable=False),
        sa.Column("cost_nano", sa.BigInteger),
        sa.Column("price_version", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("session", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("route", sa.Text),
        sa.Column("environment", sa.Text),
        sa.Column("prompt", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("input_preview", sa.Text),
        sa.Column("output_preview", sa.Text),
        sa.UniqueConstraint("trace", "span_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_traces_spans_start", "traces_spans", ["scope_id", "start_ns"])
    op.create_table(
        "traces_bodies",
        sa.Column("id", RowId, primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def _facets() -> None:
    op.create_table(
        "traces_facet_names",
        sa.Column("id", RowId, primary_key=True),
        sa.Column("scope_id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.UniqueConstraint("scope_id", "key", "value"),
    )
    op.create_table(
        "traces_facets",
        sa.Column("facet", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("trace", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _sums() -> list[sa.Column[int]]:
    names = (
        "calls",
        "errors",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost_nano",
        "unpriced",
        "latency_us",
    )
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _rollups() -> None:
    op.create_table(
        "traces_sums",
        sa.Column("scope_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dimension", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("grain", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bucket", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Text, primary_key=True),
        *_sums(),
        sa.Column("latency", sa.LargeBinary, nullable=False),
        sa.Column("ttft", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    marks = op.create_table(
        "traces_marks",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(marks, [{"name": "rolled", "value": 0}, {"name": "indexed", "value": 0}])
    op.create_table(
        "traces_prices",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("input", sa.Float, nullable=False),
        sa.Column("output", sa.Float, nullable=False),
        sa.Column("cached", sa.Float),
        sa.Column("cache_write", sa.Float),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "model", "provider"),
    )


def _text() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # The index holds words only (no positions, no copy of the text): a sixth of the size.
        op.execute(
            "CREATE VIRTUAL TABLE traces_text USING fts5(words, content='', detail=none, columnsize=0, "
            "tokenize='unicode61 remove_diacritics 2')"
        )
    else:
        op.execute("CREATE TABLE traces_text (id BIGINT PRIMARY KEY, words tsvector NOT NULL)")
        op.execute("CREATE INDEX ix_traces_text_words ON traces_text USING gin (words)")
