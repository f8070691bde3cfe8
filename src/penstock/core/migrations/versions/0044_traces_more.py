"""Traces: roll-ups by service and agent, and evaluations that name a response instead of a span."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_SUMS = (
    "calls, errors, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost_nano, "
    "unpriced, latency_us, latency, ttft, cache_hits"
)


def upgrade() -> None:
    """Add the columns; spans stored before are in the new sums as those of no service and no agent."""
    op.add_column("traces_spans", sa.Column("service", sa.Text))
    op.add_column("traces_spans", sa.Column("agent", sa.Text))
    for dimension in (10, 11):
        op.execute(
            f"INSERT INTO traces_sums (scope_id, dimension, grain, bucket, kind, value, {_SUMS}) "
            f"SELECT scope_id, {dimension}, grain, bucket, kind, '', {_SUMS} FROM traces_sums WHERE dimension = 0"
        )
    op.add_column("traces_logs", sa.Column("response_id", sa.Text))
    waiting = sa.text("response_id IS NOT NULL AND span_id IS NULL")
    op.create_index(
        "ix_traces_logs_response",
        "traces_logs",
        ["scope_id", "response_id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
