"""Tables of training jobs' share of the machine."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "training_claims",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("memory_bytes", sa.BigInteger, nullable=False),
        sa.Column("since", UtcTime, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
    )
    op.create_table(
        "training_quotas",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("runs", sa.Integer),
    )
