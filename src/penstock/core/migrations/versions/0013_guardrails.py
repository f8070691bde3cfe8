"""Tables of guardrails: policies, their versions, and a key per tenant."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "guardrails_policies",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "guardrails_versions",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_table(
        "guardrails_keys",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
    )
