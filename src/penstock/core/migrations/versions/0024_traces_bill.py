"""Traces: which of several reports of one call counts."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the mark; what is rolled up already stays as it was counted."""
    for name in ("response_id", "duplicate_of"):
        op.add_column("traces_spans", sa.Column(name, sa.Text))
    _index("ix_traces_spans_response", ["scope_id", "response_id", "start_ns"], "response_id IS NOT NULL")
    _index("ix_traces_spans_duplicate", ["duplicate_of"], "duplicate_of IS NOT NULL")
    op.execute(
        "INSERT INTO traces_marks (name, value) SELECT 'settled', value FROM traces_marks WHERE name = 'rolled'"
    )


def _index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "traces_spans", columns, sqlite_where=where, postgresql_where=where)
