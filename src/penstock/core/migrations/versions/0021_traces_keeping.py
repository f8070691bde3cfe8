"""Traces keeping: policies, what was let go, sampling's clock."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "traces_policies",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("document", Json, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
    )
    op.create_table(
        "traces_let_go",
        sa.Column("scope_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.String(100), primary_key=True),
        sa.Column("traces", sa.BigInteger, nullable=False),
        sa.Column("spans", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "traces_arrivals",
        sa.Column("at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("trace", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "traces_waiting",
        sa.Column("trace", RowId, primary_key=True, autoincrement=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Index("ix_traces_waiting_due", "due_ms"),
    )
    marks = {"sampled": "(SELECT coalesce(max(id), 0) FROM traces_traces)", "scrub": "0", "names": "0"}
    # How often names of facets were removed: writers that remember their numbers look at it.
    marks["facet_names"] = "0"
    for name, value in marks.items():
        op.execute(f"INSERT INTO traces_marks (name, value) VALUES ('{name}', {value})")
