"""Feedback on sessions, score configs, and annotation queues."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and create the tables."""
    op.add_column("feedback_items", sa.Column("session", sa.String(200), nullable=False, server_default=""))
    op.create_index("ix_feedback_items_session", "feedback_items", ["tenant", "project", "session"])
    op.create_table(
        "feedback_score_configs",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("options", Json, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_table(
        "feedback_queues",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("follows", sa.Boolean, nullable=False),
        sa.Column("fed_at", UtcTime),
        sa.Column("swept_at", UtcTime),
        sa.UniqueConstraint("tenant", "project", "name"),
    )
    op.create_table(
        "feedback_queue_items",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("queue_id", sa.String(40), nullable=False),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("span_id", sa.String(16), nullable=False),
        sa.Column("other_trace_id", sa.String(32), nullable=False),
        sa.Column("content", Json),
        sa.Column("suggestion", Json),
        sa.Column("gold", Json),
        sa.Column("is_gold", sa.Boolean, nullable=False),
        sa.Column("assigned", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answers", sa.Integer, nullable=False),
        sa.Column("uncertainty", sa.Float, nullable=False),
        sa.Column("disagreement", sa.Float, nullable=False),
        sa.Column("sketch", sa.Text, nullable=False),
        sa.Column("final", Json),
        sa.Column("adjudicated_by", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "queue_id", "key"),
    )
    items = "feedback_queue_items"
    states = ["tenant", "project", "queue_id", "is_gold", "state", "id"]
    op.create_index("ix_feedback_queue_items_state", items, states)
    op.create_index("ix_feedback_queue_items_trace", items, ["tenant", "project", "trace_id"])
    op.create_index("ix_feedback_queue_items_other", items, ["tenant", "project", "other_trace_id"])
    op.create_table(
        "feedback_queue_work",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("queue_id", sa.String(40), nullable=False),
        sa.Column("item_id", sa.String(40), nullable=False),
        sa.Column("annotator", sa.String(100), nullable=False),
        sa.Column("annotator_name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reserved_until", UtcTime),
        sa.Column("draft", Json),
        sa.Column("answer", Json),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("gold_right", sa.Float),
        sa.Column("saw_suggestion", sa.Boolean, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "item_id", "annotator"),
    )
    work = "feedback_queue_work"
    mine = ["tenant", "project", "queue_id", "annotator", "state", "updated_at"]
    op.create_index("ix_feedback_queue_work_mine", work, mine)
    state = ["tenant", "project", "queue_id", "state", "item_id"]
    op.create_index("ix_feedback_queue_work_state", work, state)
