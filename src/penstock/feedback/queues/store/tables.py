"""The tables of annotation queues, and their rows as nouns."""

from typing import Any

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from penstock.core.db import Json, UtcTime, metadata
from penstock.core.scope import Scope
from penstock.feedback.queues.model import Item, Queue, Work

queues = Table(
    "feedback_queues",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("spec", Json, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("follows", Boolean, nullable=False),
    Column("fed_at", UtcTime),
    Column("swept_at", UtcTime),
    UniqueConstraint("tenant", "project", "name"),
)

items = Table(
    "feedback_queue_items",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("queue_id", String(40), nullable=False),
    Column("key", String(100), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("span_id", String(16), nullable=False),
    Column("other_trace_id", String(32), nullable=False),
    Column("content", Json),
    Column("suggestion", Json),
    Column("gold", Json),
    Column("is_gold", Boolean, nullable=False),
    Column("assigned", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("answers", Integer, nullable=False),
    Column("uncertainty", Float, nullable=False),
    Column("disagreement", Float, nullable=False),
    Column("sketch", Text, nullable=False),
    Column("final", Json),
    Column("adjudicated_by", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "queue_id", "key"),
    Index("ix_feedback_queue_items_state", "tenant", "project", "queue_id", "is_gold", "state", "id"),
    Index("ix_feedback_queue_items_trace", "tenant", "project", "trace_id"),
    Index("ix_feedback_queue_items_other", "tenant", "project", "other_trace_id"),
)

work = Table(
    "feedback_queue_work",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("queue_id", String(40), nullable=False),
    Column("item_id", String(40), nullable=False),
    Column("annotator", String(100), nullable=False),
    Column("annotator_name", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reserved_until", UtcTime),
    Column("draft", Json),
    Column("answer", Json),
    Column("comment", Text, nullable=False),
    Column("gold_right", Float),
    Column("saw_suggestion", Boolean, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "item_id", "annotator"),
    Index("ix_feedback_queue_work_mine", "tenant", "project", "queue_id", "annotator", "state", "updated_at"),
    Index("ix_feedback_queue_work_state", "tenant", "project", "queue_id", "state", "item_id"),
)

ITEM = Item.__struct_fields__
WORK = Work.__struct_fields__
CHUNK = 500


def inside(table: Table, scope: Scope) -> ColumnElement[bool]:
    """Return the condition that a row is of the scope."""
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def as_queue(row: Any) -> Queue:
    """Return a row of queues as a noun."""
    names = ("id", "spec", "created_by", "created_at", "fed_at", "swept_at")
    return msgspec.convert({name: getattr(row, name) for name in names}, Queue)


def as_item(row: Any) -> Item:
    """Return a row of items as a noun."""
    return msgspec.convert({name: getattr(row, name) for name in ITEM}, Item)


def as_work(row: Any) -> Work:
    """Return a row of work as a noun."""
    return msgspec.convert({name: getattr(row, name) for name in WORK}, Work)


def plain(thing: Item | Work) -> dict[str, Any]:
    """Return the columns of a noun, without its scope."""
    found = {name: getattr(thing, name) for name in thing.__struct_fields__}
    found["state"] = str(thing.state)
    if isinstance(thing, Item):
        suggestion = thing.suggestion
        found["suggestion"] = None if suggestion is None else msgspec.to_builtins(suggestion)
        found["is_gold"] = thing.gold is not None
    return found
