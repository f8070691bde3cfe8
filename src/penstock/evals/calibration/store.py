"""SQL of calibrations."""

from typing import Any

import msgspec
from sqlalchemy import Boolean, Column, ColumnElement, Connection, Index, String, Table, func, select

from penstock.core.db import Json, UtcTime, metadata
from penstock.core.scope import Scope
from penstock.evals.calibration.model import Calibration, Figures

judges = Table(
    "evals_judges",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("judge", String(64), nullable=False),
    Column("scorer", String(200), nullable=False),
    Column("options", Json, nullable=False),
    Column("metric", String(200), nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("figures", Json, nullable=False),
    Column("may_gate", Boolean, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_evals_judges_judge", "tenant", "project", "judge", "metric", "id"),
)


def _in(scope: Scope) -> ColumnElement[bool]:
    return (judges.c.tenant == scope.tenant) & (judges.c.project == scope.project)


def add(conn: Connection, scope: Scope, one: Calibration) -> None:
    """Store a calibration."""
    conn.execute(
        judges.insert().values(
            id=one.id,
            tenant=scope.tenant,
            project=scope.project,
            judge=one.judge,
            scorer=one.scorer,
            options=one.options,
            metric=one.metric,
            run_id=one.run_id,
            figures=one.figures,
            may_gate=one.may_gate,
            actor=one.actor,
            created_at=one.created_at,
        )
    )


def _calibration(row: Any) -> Calibration:
    return Calibration(
        id=row.id,
        judge=row.judge,
        scorer=row.scorer,
        options=row.options,
        metric=row.metric,
        run_id=row.run_id,
        figures=msgspec.convert(row.figures, Figures),
        may_gate=row.may_gate,
        actor=row.actor,
        created_at=row.created_at,
    )


def newest(conn: Connection, scope: Scope, *, judge: str, metric: str) -> Calibration | None:
    """Return the last calibration of a judge on a metric, or None."""
    query = select(judges).where(_in(scope), judges.c.judge == judge, judges.c.metric == metric)
    row = conn.execute(query.order_by(judges.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _calibration(row)


def page(conn: Connection, scope: Scope, *, before: str | None, limit: int) -> list[Calibration]:
    """Return the last calibration of each judge and metric, newest first, from ids below `before`."""
    last = select(func.max(judges.c.id)).where(_in(scope)).group_by(judges.c.judge, judges.c.metric)
    query = select(judges).where(_in(scope), judges.c.id.in_(last))
    if before is not None:
        query = query.where(judges.c.id < before)
    return [_calibration(row) for row in conn.execute(query.order_by(judges.c.id.desc()).limit(limit))]
