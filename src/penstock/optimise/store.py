"""SQL of optimisations and their variants."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, select, update

from penstock.core.db import Json, UtcTime, metadata
from penstock.core.scope import Scope
from penstock.optimise.model import Choice, Figures, Optimisation, OptimiseState, Quality, Trial, Variant

runs = Table(
    "optimise_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("parent", String(200), nullable=False),
    Column("suite", Json),
    Column("choose", Json, nullable=False),
    Column("trial", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("job_id", String(40)),
    Column("chosen", String(200)),
    Column("reason", Text, nullable=False),
    Column("error", Text),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Index("ix_optimise_runs_scope", "tenant", "project", "id"),
    Index("ix_optimise_runs_parent", "tenant", "project", "parent", "id"),
)
variants = Table(
    "optimise_variants",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("method", String(64), nullable=False),
    Column("options", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", String(200)),
    Column("runner", String(64), nullable=False),
    Column("figures", Json),
    Column("quality", Json),
    Column("error", Text),
)


def _mine(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def insert(conn: Connection, scope: Scope, made: Optimisation) -> None:
    """Store a new optimisation with the parent and its variants still to be made."""
    owner = {"tenant": scope.tenant, "project": scope.project}
    conn.execute(
        runs.insert().values(
            **owner,
            id=made.id,
            parent=made.parent,
            suite=made.suite,
            choose=asdict(made.choose),
            trial=asdict(made.trial),
            state=str(made.state),
            job_id=made.job_id,
            chosen=made.chosen,
            reason=made.reason,
            error=made.error,
            author=made.author,
            created_at=made.created_at,
        )
    )
    rows = [{**owner, "run_id": made.id, **_row(variant)} for variant in (made.baseline, *made.variants)]
    conn.execute(variants.insert(), rows)


def _row(variant: Variant) -> dict[str, Any]:
    return {
        "position": variant.position,
        "method": variant.method,
        "options": dict(variant.options),
        "state": str(variant.state),
        "version": variant.version,
        "runner": variant.runner,
        "figures": None if variant.figures is None else asdict(variant.figures),
        "quality": None if variant.quality is None else asdict(variant.quality),
        "error": variant.error,
    }


def _variant(row: Any) -> Variant:
    return Variant(
        position=row.position,
        method=row.method,
        options=row.options,
        state=OptimiseState(row.state),
        version=row.version,
        runner=row.runner,
        figures=None if row.figures is None else msgspec.convert(row.figures, Figures),
        quality=None if row.quality is None else msgspec.convert(row.quality, Quality),
        error=row.error,
    )


def change(conn: Connection, scope: Scope, run_id: str, **values: Any) -> None:
    """Set columns of an optimisation."""
    if "state" in values:
        values["state"] = str(values["state"])
    conn.execute(update(runs).where(_mine(runs, scope), runs.c.id == run_id).values(**values))


def put_variant(conn: Connection, scope: Scope, run_id: str, variant: Variant) -> None:
    """Store a variant in place of what was known about it."""
    row = _row(variant)
    where = (_mine(variants, scope), variants.c.run_id == run_id, variants.c.position == variant.position)
    conn.execute(update(variants).where(*where).values(**row))


def _loaded(conn: Connection, scope: Scope, rows: Sequence[Any]) -> list[Optimisation]:
    found: dict[str, list[Variant]] = {row.id: [] for row in rows}
    query = select(variants).where(_mine(variants, scope), variants.c.run_id.in_(list(found)))
    for row in conn.execute(query.order_by(variants.c.run_id, variants.c.position)):
        found[row.run_id].append(_variant(row))
    return [
        Optimisation(
            id=row.id,
            parent=row.parent,
            suite=row.suite,
            choose=msgspec.convert(row.choose, Choice),
            trial=msgspec.convert(row.trial, Trial),
            state=OptimiseState(row.state),
            job_id=row.job_id,
            baseline=found[row.id][0],
            variants=tuple(found[row.id][1:]),
            chosen=row.chosen,
            reason=row.reason,
            error=row.error,
            author=row.author,
            created_at=row.created_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )
        for row in rows
    ]


def by_id(conn: Connection, scope: Scope, run_id: str) -> Optimisation | None:
    """Return the optimisation, or None."""
    rows = conn.execute(select(runs).where(_mine(runs, scope), runs.c.id == run_id)).all()
    return _loaded(conn, scope, rows)[0] if rows else None


def page(
    conn: Connection, scope: Scope, *, parent: str | None, before: str | None, limit: int
) -> list[Optimisation]:
    """Return optimisations, newest first, of one parent or of all, with ids below `before`."""
    query = select(runs).where(_mine(runs, scope)).order_by(runs.c.id.desc()).limit(limit)
    if parent is not None:
        query = query.where(runs.c.parent == parent)
    if before is not None:
        query = query.where(runs.c.id < before)
    return _loaded(conn, scope, conn.execute(query).all())
