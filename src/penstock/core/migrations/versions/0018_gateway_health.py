"""Tables of the gateway's targets: how each web process sees them."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_health",
        sa.Column("worker", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("targets", Json, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
