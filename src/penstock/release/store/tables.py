"""The tables of releases."""

from sqlalchemy import Column, Float, Index, Integer, String, Table, Text

from penstock.core.db import Json, UtcTime, metadata

releases = Table(
    "release_releases",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("plan", Json, nullable=False),
    Column("step", Integer, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("shares", Json, nullable=False),
    Column("winner", String(64), nullable=False),
    Column("before", Json),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("step_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index("ix_release_releases_scope", "tenant", "project", "id"),
    Index("ix_release_releases_state", "state"),
)
decisions = Table(
    "release_decisions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("release_id", String(40), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("by", String(200), nullable=False),
    Index("ix_release_decisions_release", "release_id", "id"),
)
phases = Table(
    "release_phases",
    metadata,
    Column("release_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("shares", Json, nullable=False),
    Column("units", Json, nullable=False),
    Column("again", Json, nullable=False),
    Column("sums", Json, nullable=False),
    Column("started_at", UtcTime, nullable=False),
)
units = Table(
    "release_units",
    metadata,
    Column("release_id", String(40), primary_key=True),
    Column("phase", Integer, primary_key=True, autoincrement=False),
    Column("arm", String(64), primary_key=True),
    Column("unit", String(40), primary_key=True),
    Column("sums", Json, nullable=False),
)
"""Metric → (calls, sum) of one person or trace in one phase."""
calls = Table(
    "release_calls",
    metadata,
    Column("release_id", String(40), primary_key=True),
    Column("trace_id", String(32), primary_key=True),
    Column("span_id", String(16), primary_key=True),
    Column("phase", Integer, nullable=False),
    Column("arm", String(64), nullable=False),
    Column("unit", String(40), nullable=False),
    Column("pair", String(16), nullable=False),
    Column("metrics", Json),
    Column("at", UtcTime, nullable=False),
    Index("ix_release_calls_pair", "release_id", "pair"),
    Index("ix_release_calls_at", "release_id", "at"),
)


def _queue(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("release_id", String(40), primary_key=True),
        Column("trace_id", String(32), primary_key=True),
        Column("span_id", String(16), primary_key=True),
        Column("phase", Integer, nullable=False),
        Column("arm", String(64), nullable=False),
        Column("unit", String(40), nullable=False),
        Column("pair", String(16), nullable=False),
        Column("at", UtcTime, nullable=False),
    )


unscored = _queue("release_unscored")
"""Calls whose answers the release's own scorers have not seen yet; of a pair, the copy with its call's span."""
unjudged = _queue("release_unjudged")
"""Likewise those that its judges have not seen."""
scores = Table(
    "release_scores",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("span_id", String(16), nullable=False),
    Column("metric", String(100), nullable=False),
    Column("value", Float, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_release_scores_scope", "tenant", "project", "id"),
)
