"""Scores and saved views of traces; facets and words that the query language asks for."""

import sqlalchemy as sa
from alembic import op

from penstock.core.db import Json, UtcTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and indexes; the text index is emptied, and filled again in the background."""
    op.create_table(
        "traces_scores",
        sa.Column("scope_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("trace_id", sa.LargeBinary(16), primary_key=True),
        sa.Column("ref", sa.String(128), primary_key=True),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Float),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_traces_scores_value", "traces_scores", ["scope_id", "name", "value"])
    op.create_table(
        "traces_views",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("owner", sa.String(200), primary_key=True),
        sa.Column("owner_name", sa.String(200), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("columns", Json, nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
    )
    op.create_index("ix_traces_traces_cost", "traces_traces", ["scope_id", "cost_nano"])
    _names()
    _words()


def _names() -> None:
    """Spans stored before are found by their names too."""
    op.execute(
        "INSERT INTO traces_facet_names (scope_id, key, value) "
        "SELECT DISTINCT scope_id, 'name', substr(name, 1, 200) FROM traces_spans WHERE name <> '' "
        "ON CONFLICT DO NOTHING"
    )
    op.execute(
        "INSERT INTO traces_facets (facet, at_ms, trace) SELECT DISTINCT n.id, t.at_ms, t.id FROM traces_spans s "
        "JOIN traces_traces t ON t.id = s.trace JOIN traces_facet_names n "
        "ON n.scope_id = s.scope_id AND n.key = 'name' AND n.value = substr(s.name, 1, 200) ON CONFLICT DO NOTHING"
    )


def _words() -> None:
    # The index now knows attributes too. What it knew before cannot be taken back word by word.
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE traces_text")
        op.execute(
            "CREATE VIRTUAL TABLE traces_text USING fts5(words, content='', detail=none, columnsize=0, "
            "tokenize='unicode61 remove_diacritics 2')"
        )
    else:
        op.execute("TRUNCATE traces_text")
    op.execute("UPDATE traces_marks SET value = 0 WHERE name = 'indexed'")
