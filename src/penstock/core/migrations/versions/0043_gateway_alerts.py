"""What budgets spend beside callers' answers, alerts of budgets, and the address each project wants to be told at."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_aside",
        sa.Column("rule", sa.String(40), primary_key=True),
        sa.Column("subject", sa.String(200), primary_key=True),
        sa.Column("period", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("spent", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "gateway_alerts",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("budget", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("fraction", sa.Double, nullable=False),
        sa.Column("spent_usd", sa.Double, nullable=False),
        sa.Column("limit_usd", sa.Double, nullable=False),
        sa.Column("delivery", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_index("ix_gateway_alerts_at", "gateway_alerts", ["tenant", "project", "at"])
    op.create_table(
        "gateway_webhooks",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
