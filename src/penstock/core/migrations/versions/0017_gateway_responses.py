"""Gateway responses."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import UtcTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_responses",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("previous_id", sa.String(40)),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
    )
    op.create_index("ix_gateway_responses_scope", "gateway_responses", ["tenant", "project", "id", "size"])
    op.create_index("ix_gateway_responses_expires_at", "gateway_responses", ["expires_at"])
    op.create_table(
        "gateway_response_items",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("item_id", sa.String(128), primary_key=True),
        sa.Column("response_id", sa.String(40), nullable=False),
    )
    op.create_index("ix_gateway_response_items_response_id", "gateway_response_items", ["response_id"])
