"""The installation's own name, by which it knows its blob store."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "core_installation",
        sa.Column("only", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(40), nullable=False),
    )
