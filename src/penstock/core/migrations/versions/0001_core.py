"""Tables of core: revisions, outbox, lineage, audit, keys, people, sign-in, jobs."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "core_revisions",
        sa.Column("topic", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "core_outbox",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", UtcTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_index("ix_core_outbox_due", "core_outbox", ["state", "not_before"])
    op.create_table(
        "core_events_handled",
        sa.Column("event_id", sa.String(40), primary_key=True),
        sa.Column("subscriber", sa.String(128), primary_key=True),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_table(
        "core_lineage",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("child_kind", sa.String(32), primary_key=True),
        sa.Column("child_ref", sa.String(200), primary_key=True),
        sa.Column("parent_kind", sa.String(32), primary_key=True),
        sa.Column("parent_ref", sa.String(200), primary_key=True),
        sa.Column("role", sa.String(64), primary_key=True),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_index(
        "ix_core_lineage_parent", "core_lineage", ["tenant", "project", "parent_kind", "parent_ref"]
    )
    op.create_table(
        "core_audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("actor_name", sa.String(200), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("target", sa.String(300), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_core_audit_scope", "core_audit", ["tenant", "project", "number"])
    _auth()
    _jobs()


def _auth() -> None:
    op.create_table(
        "core_keys",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("any_project", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime),
        sa.Column("revoked_at", UtcTime),
    )
    op.create_table(
        "core_projects",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_table(
        "core_people",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "name"),
    )
    op.create_table(
        "core_sign_ins",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(40), nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("used_at", UtcTime),
    )
    op.create_table(
        "core_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(40), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
    )


def _jobs() -> None:
    op.create_table(
        "core_jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("spec", Json, nullable=False),
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("actor_name", sa.String(200), nullable=False),
        sa.Column("actor_role", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("progress", Json),
        sa.Column("result", Json),
        sa.Column("error", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", UtcTime),
        sa.Column("not_before", UtcTime, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("ended_at", UtcTime),
        sa.UniqueConstraint("tenant", "project", "kind", "key"),
    )
    op.create_index("ix_core_jobs_due", "core_jobs", ["state", "not_before"])
    op.create_table(
        "core_job_steps",
        sa.Column("job_id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("result", Json),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime, nullable=False),
    )
