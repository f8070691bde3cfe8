"""Traces are found by the keys of their metadata through entries of their own in the side table."""

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_STILL_WRITTEN = 10_000
"""So many traces more may come from servers of the version before until they have stopped."""


def upgrade() -> None:
    """Note up to which row traces may lack those entries: they are looked into, as before; nothing is written anew."""
    op.execute(
        f"INSERT INTO traces_marks (name, value) SELECT 'keyed', coalesce(max(id) + {_STILL_WRITTEN}, 0) "
        "FROM traces_traces"
    )
