"""Serving: policies, limits and quotas; what replicas use; callers that wait for a sleeping deployment."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("serving_deployments", sa.Column("policy", Json))
    op.add_column("serving_versions", sa.Column("memory_bytes", sa.BigInteger))
    op.add_column("serving_versions", sa.Column("gpus", sa.Integer))
    for name in ("gpus", "adapters", "usage"):
        op.add_column("serving_replicas", sa.Column(name, Json))
    op.create_table(
        "serving_quotas",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("replicas", sa.Integer),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("gpus", sa.Integer),
    )
    op.add_column("gateway_endpoints", sa.Column("patience", sa.Float))
    op.add_column("gateway_endpoints", sa.Column("asked_at", UtcTime))
