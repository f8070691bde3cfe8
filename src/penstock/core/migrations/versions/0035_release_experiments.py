"""Splits of traffic, what became of the divided calls, and the releases that judge them."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _gateway()
    _releases()
    _evidence()


def _gateway() -> None:
    op.create_table(
        "gateway_splits",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(300), primary_key=True),
        sa.Column("release_id", sa.String(40), nullable=False),
        sa.Column("split", Json, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_table(
        "gateway_arm_outcomes",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("release_id", sa.String(40), nullable=False),
        sa.Column("items", Json, nullable=False),
    )
    op.create_index(
        "ix_gateway_arm_outcomes_release",
        "gateway_arm_outcomes",
        ["tenant", "project", "release_id", "id"],
    )


def _releases() -> None:
    op.create_table(
        "release_releases",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("plan", Json, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("phase", sa.Integer, nullable=False),
        sa.Column("shares", Json, nullable=False),
        sa.Column("winner", sa.String(64), nullable=False),
        sa.Column("before", Json),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("step_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
    )
    op.create_index("ix_release_releases_scope", "release_releases", ["tenant", "project", "id"])
    op.create_index("ix_release_releases_state", "release_releases", ["state"])
    op.create_table(
        "release_decisions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("release_id", sa.String(40), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", Json, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
    )
    op.create_index("ix_release_decisions_release", "release_decisions", ["release_id", "id"])


def _evidence() -> None:
    op.create_table(
        "release_phases",
        sa.Column("release_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("shares", Json, nullable=False),
        sa.Column("units", Json, nullable=False),
        sa.Column("again", Json, nullable=False),
        sa.Column("sums", Json, nullable=False),
        sa.Column("started_at", UtcTime, nullable=False),
    )
    op.create_table(
        "release_units",
        sa.Column("release_id", sa.String(40), primary_key=True),
        sa.Column("phase", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("arm", sa.String(64), primary_key=True),
        sa.Column("unit", sa.String(40), primary_key=True),
        sa.Column("sums", Json, nullable=False),
    )
    op.create_table(
        "release_calls",
        sa.Column("release_id", sa.String(40), primary_key=True),
        sa.Column("trace_id", sa.String(32), primary_key=True),
        sa.Column("span_id", sa.String(16), primary_key=True),
        sa.Column("phase", sa.Integer, nullable=False),
        sa.Column("arm", sa.String(64), nullable=False),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("pair", sa.String(16), nullable=False),
        sa.Column("metrics", Json),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_index("ix_release_calls_pair", "release_calls", ["release_id", "pair"])
    op.create_index("ix_release_calls_at", "release_calls", ["release_id", "at"])
    op.create_table(
        "release_unscored",
        sa.Column("release_id", sa.String(40), primary_key=True),
        sa.Column("trace_id", sa.String(32), primary_key=True),
        sa.Column("span_id", sa.String(16), primary_key=True),
        sa.Column("phase", sa.Integer, nullable=False),
        sa.Column("arm", sa.String(64), nullable=False),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("pair", sa.String(16), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_table(
        "release_scores",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("span_id", sa.String(16), nullable=False),
        sa.Column("metric", sa.String(100), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_index("ix_release_scores_scope", "release_scores", ["tenant", "project", "id"])
