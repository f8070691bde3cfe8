"""Traces: users and sessions, and roll-ups by more dimensions."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_NUMBERS = (
    "traces",
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_nano",
    "first_ms",
    "last_ms",
)


def upgrade() -> None:
    """Create the tables; spans stored before are gathered into them in the background."""
    op.add_column("traces_sums", sa.Column("cache_hits", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "traces_people",
        sa.Column("scope_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("user", sa.Text),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _NUMBERS),
        sa.Column("stale", sa.SmallInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_traces_people_last", "traces_people", ["scope_id", "kind", "last_ms", "name"])
    op.create_index("ix_traces_people_cost", "traces_people", ["scope_id", "kind", "cost_nano", "name"])
    op.create_index("ix_traces_people_user", "traces_people", ["scope_id", "kind", "user", "last_ms"])
    stale = sa.text("stale = 1")
    op.create_index(
        "ix_traces_people_stale", "traces_people", ["stale"], sqlite_where=stale, postgresql_where=stale
    )
    op.execute("INSERT INTO traces_marks (name, value) VALUES ('gathered', 0)")
