"""Tables of feedback."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "feedback_items",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("span_id", sa.String(16)),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.Float),
        sa.Column("text", sa.Text),
        sa.Column("chosen", sa.Text),
        sa.Column("rejected", sa.Text),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("source", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("route", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "key"),
    )
    op.create_index("ix_feedback_items_scope", "feedback_items", ["tenant", "project", "id"])
    op.create_index("ix_feedback_items_trace", "feedback_items", ["tenant", "project", "trace_id"])
    op.create_index("ix_feedback_items_subject", "feedback_items", ["tenant", "project", "subject"])
