"""Jobs have a priority, training's claims on the machine name GPUs, and an end of judging is a decision of its own."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; jobs that are queued keep the order of their age."""
    op.add_column("core_jobs", sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
    op.add_column("training_claims", sa.Column("processes", sa.Integer, nullable=False, server_default="1"))
    op.add_column("training_claims", sa.Column("gpus", sa.Integer))
    op.add_column("training_claims", sa.Column("held", Json))
    op.execute(
        "UPDATE release_decisions SET decision = 'stop_judging' "
        "WHERE decision = 'hold' AND reason LIKE 'Answers are no longer judged.%'"
    )
