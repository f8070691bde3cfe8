"""Tables of limits: rate limits, budgets, the ledger, leases of processes; rotation of keys."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _rules() -> None:
    op.create_table(
        "gateway_limits",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("limits", Json, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "kind", "subject"),
    )
    op.create_table(
        "gateway_budgets",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("nano", sa.BigInteger, nullable=False),
        sa.Column("soft", Json, nullable=False),
        sa.Column("hard", sa.Boolean, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.UniqueConstraint("tenant", "project", "name"),
    )


def _accounts() -> None:
    op.create_table(
        "gateway_accounts",
        sa.Column("rule", sa.String(40), primary_key=True),
        sa.Column("subject", sa.String(200), primary_key=True),
        sa.Column("period", sa.String(16), primary_key=True),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("leased", sa.BigInteger, nullable=False),
        sa.Column("alerted", sa.Integer, nullable=False),
        sa.Column("exhausted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "gateway_lessees",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("dead", sa.Boolean, nullable=False),
    )
    op.create_table(
        "gateway_leases",
        sa.Column("lessee", sa.String(40), primary_key=True),
        sa.Column("rule", sa.String(40), primary_key=True),
        sa.Column("subject", sa.String(200), primary_key=True),
        sa.Column("period", sa.String(16), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("recalled", sa.Boolean, nullable=False),
    )
    op.create_index("ix_gateway_leases_rule", "gateway_leases", ["rule", "subject", "period"])
    op.create_table(
        "gateway_buckets",
        sa.Column("rule", sa.String(40), primary_key=True),
        sa.Column("subject", sa.String(200), primary_key=True),
        sa.Column("measure", sa.String(16), primary_key=True),
        sa.Column("level", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )


def upgrade() -> None:
    """Create the tables; a key keeps the secret it had before its last rotation for a while."""
    _rules()
    _accounts()
    op.add_column("core_keys", sa.Column("previous_digest", sa.String(64)))
    op.add_column("core_keys", sa.Column("previous_until", UtcTime))
    op.create_index("ix_core_keys_previous_digest", "core_keys", ["previous_digest"])
