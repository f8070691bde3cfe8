"""The models that a key may call."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; keys that are there may call all."""
    op.add_column("core_keys", sa.Column("models", Json, nullable=False, server_default="[]"))
