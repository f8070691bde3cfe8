"""Models: rules, moves and requests of stages, tags, papers of versions, keys that sign manifests."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def _scope() -> list[sa.Column[str]]:
    return [
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
    ]


def _stages() -> None:
    op.create_table(
        "registry_stage_rules",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(100), primary_key=True),
        sa.Column("stage", sa.String(16), primary_key=True),
        sa.Column("rule", Json, nullable=False),
    )
    op.create_table(
        "registry_stage_moves",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("model_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("previous", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("approved_by", Json, nullable=False),
    )
    op.create_index("ix_registry_stage_moves_version", "registry_stage_moves", ["model_id", "number", "id"])
    op.create_table(
        "registry_stage_requests",
        sa.Column("id", sa.String(40), primary_key=True),
        *_scope(),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("previous", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("asker_id", sa.String(64), nullable=False),
        sa.Column("asked_at", UtcTime, nullable=False),
        sa.Column("approvals", Json, nullable=False),
        sa.Column("decided_by", sa.String(200), nullable=False),
        sa.Column("decided_at", UtcTime),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_registry_stage_requests_scope", "registry_stage_requests", ["tenant", "project", "state", "id"]
    )


def upgrade() -> None:
    """Create the tables; versions made before have no papers, and no stage has a rule."""
    _stages()
    op.create_table(
        "registry_tags",
        sa.Column("model_id", sa.String(40), primary_key=True),
        sa.Column("tag", sa.String(50), primary_key=True),
    )
    op.create_index("ix_registry_tags_tag", "registry_tags", ["tag"])
    op.create_index("ix_registry_versions_stage", "registry_versions", ["model_id", "stage"])
    op.create_table(
        "registry_papers",
        sa.Column("version_id", sa.String(40), primary_key=True),
        sa.Column("licence", sa.String(200), nullable=False),
        sa.Column("intended_use", sa.Text, nullable=False),
        sa.Column("signature", Json),
        sa.Column("scan", Json),
        sa.Column("manifest", Json),
        sa.Column("card", sa.Text),
        sa.Column("card_author", sa.String(200), nullable=False),
        sa.Column("card_at", UtcTime),
    )
    op.create_table(
        "registry_keys",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("public", sa.String(64), nullable=False),
        sa.Column("private", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
