"""Tables of prompts: prompts, versions, labels and their moves."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "prompts",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "name"),
    )
    op.create_table(
        "prompts_versions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("prompt_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.UniqueConstraint("prompt_id", "number"),
    )
    op.create_table(
        "prompts_labels",
        sa.Column("prompt_id", sa.String(40), primary_key=True),
        sa.Column("label", sa.String(50), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_table(
        "prompts_label_moves",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("prompt_id", sa.String(40), nullable=False),
        sa.Column("label", sa.String(50), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_index("ix_prompts_label_moves_prompt", "prompts_label_moves", ["prompt_id", "id"])
