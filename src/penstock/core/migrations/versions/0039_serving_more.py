"""Which process keeps a replica."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; it stays empty for replicas that are stored, and the next start forgets those."""
    op.add_column("serving_replicas", sa.Column("keeper", sa.String(200)))
