"""Gateway files and batches."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _scoped() -> list[sa.Column[str]]:
    return [
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
    ]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_files",
        *_scoped(),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime),
    )
    op.create_index("ix_gateway_files_scope", "gateway_files", ["tenant", "project", "id"])
    op.create_table(
        "gateway_batches",
        *_scoped(),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("input_file", sa.String(40), nullable=False),
        sa.Column("window", sa.String(16), nullable=False),
        sa.Column("metadata", Json),
        sa.Column("output_seconds", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("errors", Json),
        sa.Column("output_file", sa.String(40)),
        sa.Column("error_file", sa.String(40)),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("moments", Json, nullable=False),
    )
    op.create_index("ix_gateway_batches_scope", "gateway_batches", ["tenant", "project", "id"])
    op.create_table(
        "gateway_batch_lines",
        sa.Column("batch_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("good", sa.Boolean, nullable=False),
        sa.Column("result", sa.LargeBinary, nullable=False),
    )
