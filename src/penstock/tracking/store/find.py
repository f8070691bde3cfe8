"""From filters and orders to SQL, for experiments, runs and logged models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, func, literal, select

from penstock.core import clock
from penstock.core.db import UtcTime, is_sqlite
from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.core.suggest import did_you_mean
from penstock.tracking.model import State
from penstock.tracking.search import Clause, Order
from penstock.tracking.store.tables import experiments, inputs, latest, models, params, runs, tags

_PAIRS = {"param": params, "tag": tags}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is searched: a table and what filters may call its columns."""

    table: Table
    attributes: Mapping[str, str]
    newest: str
    """The column that lists are ordered by, newest first, where the order leaves a choice."""


RUNS = Subject(
    runs,
    {
        "run_id": "id",
        "run_name": "name",
        "run name": "name",
        "name": "name",
        "experiment_id": "experiment_id",
        "status": "status",
        "user_id": "user",
        "user": "user",
        "start_time": "started_at",
        "created": "started_at",
        "end_time": "ended_at",
        "lifecycle_stage": "state",
    },
    "started_at",
)
EXPERIMENTS = Subject(
    experiments,
    {
        "name": "name",
        "experiment_id": "id",
        "creation_time": "created_at",
        "last_update_time": "updated_at",
        "lifecycle_stage": "state",
    },
    "created_at",
)
MODELS = Subject(
    models,
    {
        "name": "name",
        "model_id": "id",
        "model_type": "type",
        "status": "status",
        "source_run_id": "run_id",
        "experiment_id": "experiment_id",
        "creation_timestamp": "created_at",
        "creation_time": "created_at",
        "last_updated_timestamp": "updated_at",
    },
    "created_at",
)
_NUMBERS = ("=", "!=", "<", "<=", ">", ">=")
_TEXTS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")


def _glob(like: str) -> str:
    """Return the pattern for SQLite's GLOB, which (unlike its LIKE) tells upper from lower case."""
    marks = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(marks.get(char, char) for char in like)


def _compare(conn: Connection, left: ColumnElement[Any], clause: Clause, operators: Sequence[str]) -> Any:
    op, value = clause.op, clause.value
    if op not in operators:
        raise Invalid(f"{clause.key!r} cannot be compared by {op}.", hint=f"Use {', '.join(operators)}.")
    if op == "IN":
        return left.in_(list(value))
    if op == "NOT IN":
        return left.not_in(list(value))
    if op == "ILIKE":
        return func.lower(left).like(str(value).lower())
    if op == "LIKE":
        return left.op("GLOB")(_glob(str(value))) if is_sqlite(conn) else left.like(str(value))
    return {
        "=": left == value,
        "!=": left != value,
        "<": left < value,
        "<=": left <= value,
        ">": left > value,
        ">=": left >= value,
    }[op]


def _number(clause: Clause) -> Clause:
    if clause.op in ("IN", "NOT IN", "IS NULL", "IS NOT NULL"):
        return clause
    try:
        return Clause(clause.kind, clause.key, clause.op, float(clause.value))
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"{clause.key!r} is compared with a number, not {clause.value!r}.") from None


def _attribute(subject: Subject, key: str) -> Column[Any]:
    name = subject.attributes.get(key.lower())
    if name is None:
        known = sorted(subject.attributes)
        raise Invalid(f"{key!r} is not an attribute.", hint=did_you_mean(key, known) or f"There are {known}.")
    return subject.table.c[name]


def _by_attribute(conn: Connection, subject: Subject, clause: Clause) -> Any:
    column = _attribute(subject, clause.key)
    if isinstance(column.type, UtcTime):
        clause = _number(clause)
        if clause.op in _NUMBERS:
            if abs(clause.value) > 1e14:
                raise Invalid(f"{clause.key!r} is in milliseconds; {clause.value:g} is out of range.")
            moment = clock.from_ns(int(clause.value * 1_000_000))
            clause = Clause(clause.kind, clause.key, clause.op, moment)
        return _compare(conn, column, clause, _NUMBERS)
    if column.name in ("status", "state") and clause.value is not None:
        low = tuple(map(str.lower, map(str, clause.value))) if isinstance(clause.value, tuple) else None
        clause = Clause(clause.kind, clause.key, clause.op, low or str(clause.value).lower())
    if isinstance(clause.value, int | float):
        clause = Clause(clause.kind, clause.key, clause.op, str(clause.value))
    return _compare(conn, column, clause, _TEXTS)


def _by_pair(conn: Connection, subject: Subject, clause: Clause) -> ColumnElement[bool]:
    table = _PAIRS[clause.kind]
    mine = select(literal(1)).where(table.c.owner == subject.table.c.id, table.c.key == clause.key)
    if clause.op in ("IS NULL", "IS NOT NULL"):
        return mine.exists() if clause.op == "IS NOT NULL" else ~mine.exists()
    if not isinstance(clause.value, tuple):
        clause = Clause(clause.kind, clause.key, clause.op, str(clause.value))
    return mine.where(_compare(conn, table.c.value, clause, _TEXTS)).exists()


def _by_metric(conn: Connection, subject: Subject, clause: Clause) -> ColumnElement[bool]:
    mine = select(literal(1)).where(latest.c.owner == subject.table.c.id, latest.c.key == clause.key)
    if clause.op in ("IS NULL", "IS NOT NULL"):
        return mine.exists() if clause.op == "IS NOT NULL" else ~mine.exists()
    meets = _compare(conn, latest.c.value, _number(clause), _NUMBERS)
    # Not a number is unequal to every number, and neither below nor above one.
    wanted = (latest.c.nan | meets) if clause.op == "!=" else (~latest.c.nan & meets)
    return mine.where(wanted).exists()


def _by_dataset(conn: Connection, subject: Subject, clause: Clause) -> ColumnElement[bool]:
    if clause.key not in ("name", "digest", "context"):
        raise Invalid(f"{clause.key!r} of a dataset cannot be searched.", hint="Use name, digest or context.")
    mine = select(literal(1)).where(inputs.c.owner == subject.table.c.id)
    return mine.where(_compare(conn, inputs.c[clause.key], clause, _TEXTS)).exists()


_BY = {
    "attribute": _by_attribute,
    "param": _by_pair,
    "tag": _by_pair,
    "metric": _by_metric,
    "dataset": _by_dataset,
}


def _order(subject: Subject, order: Order) -> list[Any]:
    identity = subject.table.c.id
    if order.kind == "attribute":
        column: Any = _attribute(subject, order.key)
    elif order.kind == "metric":
        column = select(func.max(latest.c.value)).where(
            latest.c.owner == identity, latest.c.key == order.key, ~latest.c.nan
        )
        column = column.scalar_subquery()
    elif order.kind in _PAIRS:
        table = _PAIRS[order.kind]
        column = select(table.c.value).where(table.c.owner == identity, table.c.key == order.key)
        column = column.scalar_subquery()
    else:
        raise Invalid(f"Nothing can be ordered by {order.kind}.{order.key}.")
    return [(column.desc() if order.descending else column.asc()).nulls_last()]


def statement(
    conn: Connection,
    scope: Scope,
    subject: Subject,
    *,
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    state: State | None,
    within: Sequence[str] | None = None,
) -> Select[Any]:
    """Return the SELECT of the rows that meet all conditions; `within` are ids of experiments (None: all)."""
    table = subject.table
    query = select(table).where(table.c.tenant == scope.tenant, table.c.project == scope.project)
    if within is not None:
        query = query.where(table.c.experiment_id.in_(list(within)))
    if state is not None:
        query = query.where(table.c.state == str(state))
    for clause in clauses:
        query = query.where(_BY[clause.kind](conn, subject, clause))
    for order in orders:
        query = query.order_by(*_order(subject, order))
    return query.order_by(table.c[subject.newest].desc(), table.c.id.desc())


__all__ = ["EXPERIMENTS", "MODELS", "RUNS", "Subject", "statement"]
