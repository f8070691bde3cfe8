"""What kept answers take is summed from an index instead of from all of their rows."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the size beside the time of the last use."""
    op.drop_index("ix_gateway_cache_entries_used_ms", "gateway_cache_entries")
    op.create_index("ix_gateway_cache_entries_used", "gateway_cache_entries", ["used_ms", "size"])
