"""Answers of releases that wait for their judges."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the queue."""
    op.create_table(
        "release_unjudged",
        sa.Column("release_id", sa.String(40), primary_key=True),
        sa.Column("trace_id", sa.String(32), primary_key=True),
        sa.Column("span_id", sa.String(16), primary_key=True),
        sa.Column("phase", sa.Integer, nullable=False),
        sa.Column("arm", sa.String(64), nullable=False),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("pair", sa.String(16), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
