"""Tables of traces."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from penstock.core.db import Json, UtcTime, metadata

RowId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit row number that the database counts up and never gives out twice."""

scopes = Table(
    "traces_scopes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    UniqueConstraint("tenant", "project"),
)
"""A small number per (tenant, project): every other table carries it, and every query asks for it."""

traces = Table(
    "traces_traces",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("scope_id", Integer, nullable=False),
    Column("trace_id", LargeBinary(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=False),
    Column("duration_ns", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("root", LargeBinary(8)),
    Column("spans", Integer, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    Column("model", Text),
    Column("user", Text),
    Column("session", Text),
    Column("route", Text),
    Column("key_id", Text),
    Column("environment", Text),
    UniqueConstraint("scope_id", "trace_id"),
    Index("ix_traces_traces_at", "scope_id", "at_ms", "id"),
    Index("ix_traces_traces_slow", "scope_id", "duration_ns"),
    Index("ix_traces_traces_cost", "scope_id", "cost_nano"),
    sqlite_autoincrement=True,
)
"""`at_ms` is the start of the part that arrived first: it never changes, so that lists and cursors hold still."""

spans = Table(
    "traces_spans",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("scope_id", Integer, nullable=False),
    Column("trace", BigInteger, nullable=False),
    Column("span_id", LargeBinary(8), nullable=False),
    Column("parent_id", LargeBinary(8)),
    Column("name", Text, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=False),
    Column("ttft_ns", BigInteger),
    Column("model", Text),
    Column("requested_model", Text),
    Column("provider", Text),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("tokens_estimated", Boolean, nullable=False),
    Column("cost_nano", BigInteger),
    Column("price_version", Text),
    Column("user", Text),
    Column("session", Text),
    Column("key_id", Text),
    Column("route", Text),
    Column("environment", Text),
    Column("prompt", Text),
    Column("error", Text),
    Column("input_preview", Text),
    Column("output_preview", Text),
    Column("response_id", Text),
    Column("duplicate_of", Text),
    Column("service", Text),
    Column("agent", Text),
    UniqueConstraint("trace", "span_id"),
    Index("ix_traces_spans_start", "scope_id", "start_ns"),
    Index(
        "ix_traces_spans_response",
        "scope_id",
        "response_id",
        "start_ns",
        sqlite_where=text("response_id IS NOT NULL"),
        postgresql_where=text("response_id IS NOT NULL"),
    ),
    Index(
        "ix_traces_spans_duplicate",
        "duplicate_of",
        sqlite_where=text("duplicate_of IS NOT NULL"),
        postgresql_where=text("duplicate_of IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
"""`duplicate_of` is `trace id/span id` of the span that counts where this one reports the same call (see `bill`).

Money is counted in whole nano-dollars, so that sums are exact and roll-ups can be corrected by subtraction."""

bodies = Table(
    "traces_bodies",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

facet_names = Table(
    "traces_facet_names",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("scope_id", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("scope_id", "key", "value"),
)

facets = Table(
    "traces_facets",
    metadata,
    Column("facet", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("trace", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)


def _sums() -> list[Column[int]]:
    names = (
        "calls",
        "errors",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost_nano",
        "unpriced",
        "latency_us",
    )
    return [Column(name, BigInteger, nullable=False) for name in names]


sums = Table(
    "traces_sums",
    metadata,
    Column("scope_id", Integer, primary_key=True, autoincrement=False),
    Column("dimension", SmallInteger, primary_key=True, autoincrement=False),
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("value", Text, primary_key=True),
    *_sums(),
    Column("latency", LargeBinary, nullable=False),
    Column("ttft", LargeBinary, nullable=False),
    Column("cache_hits", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
"""Sums and histograms per `grain` (3600 or 86400 seconds) from `bucket` (seconds since the epoch), once for each
dimension (all, model, provider, …): rows grow with the sum of what the dimensions hold, not with its product."""

people = Table(
    "traces_people",
    metadata,
    Column("scope_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("user", Text),
    Column("traces", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("stale", SmallInteger, nullable=False),
    Index("ix_traces_people_last", "scope_id", "kind", "last_ms", "name"),
    Index("ix_traces_people_cost", "scope_id", "kind", "cost_nano", "name"),
    Index("ix_traces_people_user", "scope_id", "kind", "user", "last_ms"),
    Index(
        "ix_traces_people_stale",
        "stale",
        sqlite_where=text("stale = 1"),
        postgresql_where=text("stale = 1"),
    ),
    sqlite_with_rowid=False,
)
"""Totals of every user (kind 0) and session (kind 1). `first_ms` and `last_ms` are when traces began (their `at_ms`);
`stale` asks the background to find them anew, because a trace left. A session's `user` is the first that was named."""

marks = Table(
    "traces_marks",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`settled`: which of several reports of a call counts is settled up to this row. `rolled`: spans up to this row are
in the roll-ups. `gathered`, never beyond it: up to this row in `people`, in the roll-ups of the younger dimensions and
in `cache_hits`. `indexed`: up to this row in the full-text index. `keyed`: traces up to this row may lack the entries
of the side table that name the keys of their metadata."""

prices = Table(
    "traces_price_versions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("price", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index("ix_traces_price_versions_scope", "tenant", "project", "ended_at"),
)
"""Prices a project set itself, every version of them; they win over the book in the package."""

scores = Table(
    "traces_scores",
    metadata,
    Column("scope_id", Integer, primary_key=True, autoincrement=False),
    Column("trace_id", LargeBinary(16), primary_key=True),
    Column("ref", String(128), primary_key=True),
    Column("origin", String(32), nullable=False),
    Column("name", String(64), nullable=False),
    Column("value", Float),
    Index("ix_traces_scores_value", "scope_id", "name", "value"),
    sqlite_with_rowid=False,
)
"""What upper slices know of a trace's quality, by their own `ref`; the trace may arrive later."""

views = Table(
    "traces_views",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("owner", String(200), primary_key=True),
    Column("owner_name", String(200), nullable=False),
    Column("query", Text, nullable=False),
    Column("columns", Json, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)
"""Saved queries, by owner."""
