"""Prompts: includes, protected labels, requests to move them, and more about every move."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; versions made before include nothing."""
    op.create_table(
        "prompts_includes",
        sa.Column("version_id", sa.String(40), primary_key=True),
        sa.Column("reference", sa.String(160), primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("prompt_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("included", sa.String(100), nullable=False),
    )
    op.create_index("ix_prompts_includes_included", "prompts_includes", ["tenant", "project", "included"])
    op.create_table(
        "prompts_protected",
        sa.Column("prompt_id", sa.String(40), primary_key=True),
        sa.Column("label", sa.String(50), primary_key=True),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_table(
        "prompts_requests",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("prompt_id", sa.String(40), nullable=False),
        sa.Column("prompt", sa.String(100), nullable=False),
        sa.Column("label", sa.String(50), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("asker_id", sa.String(64), nullable=False),
        sa.Column("asked_at", UtcTime, nullable=False),
        sa.Column("decided_by", sa.String(200), nullable=False),
        sa.Column("decided_at", UtcTime),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("ix_prompts_requests_prompt", "prompts_requests", ["prompt_id", "id"])
    moves = "prompts_label_moves"
    op.add_column(moves, sa.Column("kind", sa.String(20), nullable=False, server_default="set"))
    op.add_column(moves, sa.Column("note", sa.Text, nullable=False, server_default=""))
    op.add_column(moves, sa.Column("approved_by", sa.String(200), nullable=False, server_default=""))
    op.create_index("ix_prompts_label_moves_label", moves, ["prompt_id", "label", "id"])
