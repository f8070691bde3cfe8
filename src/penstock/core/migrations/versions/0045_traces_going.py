"""Traces that are being erased are hidden first; their rows go by and by."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the list of what is going."""
    op.create_table(
        "traces_going",
        sa.Column(
            "trace",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("scope_id", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("spans", sa.Integer, nullable=False),
    )
    op.create_index("ix_traces_going_scope", "traces_going", ["scope_id", "trace"])
