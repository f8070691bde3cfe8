"""SQL of training runs and their metrics."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    cast,
    func,
    or_,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.training.model import MetricPoint, RunArtifact, RunState, TrainingRun, Wish

runs = Table(
    "training_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("method", String(64), nullable=False),
    Column("recipe", Json, nullable=False),
    Column("base", String(200), nullable=False),
    Column("dataset", String(200), nullable=False),
    Column("key", String(200)),
    Column("state", String(16), nullable=False),
    Column("job_id", String(40)),
    Column("progress", Json, nullable=False),
    Column("examples", Json, nullable=False),
    Column("metrics", Json, nullable=False),
    Column("model", String(200)),
    Column("error", Text),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("environment", Json),
    Column("inputs", Json),
    Column("weights_hash", String(64)),
    Column("note", Text),
    Column("wish", String(16)),
    Column("search", String(40)),
    UniqueConstraint("tenant", "project", "key"),
    Index("ix_training_runs_scope", "tenant", "project", "id"),
)
points = Table(
    "training_metrics",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("values", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
)
artifacts = Table(
    "training_artifacts",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("path", String(500), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("step", Integer),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

EVALUATED = '"eval_'
"""What the record of a point holds where a checkpoint was evaluated."""


def _mine(scope: Scope) -> Any:
    return (runs.c.tenant == scope.tenant) & (runs.c.project == scope.project)


def _run(row: Any) -> TrainingRun:
    return TrainingRun(
        id=row.id,
        name=row.name,
        method=row.method,
        recipe=row.recipe,
        base=row.base,
        dataset=row.dataset,
        key=row.key,
        state=RunState(row.state),
        job_id=row.job_id,
        progress=row.progress,
        examples=row.examples,
        metrics=row.metrics,
        model=row.model,
        error=row.error,
        author=row.author,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        environment=row.environment or {},
        inputs=row.inputs or [],
        weights_hash=row.weights_hash,
        note=row.note or "",
        wish=Wish(row.wish) if row.wish else None,
        search=row.search,
    )


def insert(conn: Connection, scope: Scope, run: TrainingRun) -> None:
    """Store a new run."""
    row = {field.name: getattr(run, field.name) for field in fields(TrainingRun)}
    row["state"], row["wish"] = str(run.state), str(run.wish) if run.wish else None
    conn.execute(runs.insert().values(tenant=scope.tenant, project=scope.project, **row))


def change(
    conn: Connection,
    scope: Scope,
    run_id: str,
    *,
    held_in: Collection[RunState] = (),
    asked: Wish | None = None,
    **values: Any,
) -> bool:
    """Set columns of a run; returns whether it was there, in one of the states `held_in` and with the wish `asked`.

    Whoever changes a state says which one he saw: two who do it at once must not undo each other's work.
    """
    if "state" in values:
        values["state"] = str(values["state"])
    if values.get("wish"):
        values["wish"] = str(values["wish"])
    query = update(runs).where(_mine(scope), runs.c.id == run_id)
    if held_in:
        query = query.where(runs.c.state.in_([str(state) for state in held_in]))
    if asked is not None:
        query = query.where(runs.c.wish == str(asked))
    return conn.execute(query.values(**values)).rowcount > 0


def by_id(conn: Connection, scope: Scope, run_id: str) -> TrainingRun | None:
    """Return the run, or None."""
    row = conn.execute(select(runs).where(_mine(scope), runs.c.id == run_id)).first()
    return None if row is None else _run(row)


def by_key(conn: Connection, scope: Scope, key: str) -> TrainingRun | None:
    """Return the run started with this key, or None."""
    row = conn.execute(select(runs).where(_mine(scope), runs.c.key == key)).first()
    return None if row is None else _run(row)


def wish_of(conn: Connection, scope: Scope, run_id: str) -> Wish | None:
    """Return what was asked of the run."""
    found = conn.execute(select(runs.c.wish).where(_mine(scope), runs.c.id == run_id)).scalar()
    return Wish(found) if found else None


def page(
    conn: Connection,
    scope: Scope,
    *,
    before: str | None,
    limit: int,
    state: str | None = None,
    search: str | None = None,
    query: str = "",
) -> list[TrainingRun]:
    """Return runs, newest first, with ids below `before`; `query` is part of a name, base, dataset, model or note."""
    wanted = select(runs).where(_mine(scope)).order_by(runs.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(runs.c.id < before)
    if state is not None:
        wanted = wanted.where(runs.c.state == state)
    if search is not None:
        wanted = wanted.where(runs.c.search == search)
    if query:
        texts = (runs.c.name, runs.c.base, runs.c.dataset, runs.c.model, runs.c.note)
        wanted = wanted.where(or_(*(text.icontains(query, autoescape=True) for text in texts)))
    return [_run(row) for row in conn.execute(wanted)]


def put_artifacts(conn: Connection, run_id: str, found: Sequence[RunArtifact]) -> None:
    """Store what a run left; a file of the same path is replaced."""
    rows = [
        {"run_id": run_id, **{name.name: getattr(file, name.name) for name in fields(RunArtifact)}}
        for file in found
    ]
    if rows:
        changing = ["kind", "step", "size", "sha256", "created_at"]
        upsert(conn, artifacts, rows, keys=["run_id", "path"], update=changing)


def list_artifacts(conn: Connection, scope: Scope, run_id: str) -> list[RunArtifact]:
    """Return what a run left, by path."""
    query = (
        select(artifacts)
        .join(runs, runs.c.id == artifacts.c.run_id)
        .where(_mine(scope), artifacts.c.run_id == run_id)
        .order_by(artifacts.c.path)
    )
    return [
        RunArtifact(
            path=row.path,
            kind=row.kind,
            step=row.step,
            size=row.size,
            sha256=row.sha256,
            created_at=row.created_at,
        )
        for row in conn.execute(query)
    ]


def add_point(conn: Connection, run_id: str, point: MetricPoint) -> None:
    """Store what was logged at a step; a resumed run replaces the steps it repeats."""
    row = {"run_id": run_id, "step": point.step, "values": point.values, "at": point.at}
    upsert(conn, points, [row], keys=["run_id", "step"], update=["values", "at"])


def point_at(conn: Connection, scope: Scope, run_id: str, step: int) -> MetricPoint | None:
    """Return what was logged at a step, or None."""
    of_runs = select(points).join(runs, runs.c.id == points.c.run_id)
    row = conn.execute(of_runs.where(_mine(scope), points.c.run_id == run_id, points.c.step == step)).first()
    return None if row is None else _point(row)


def _point(row: Any) -> MetricPoint:
    # By position: a result row has a method called `values`.
    return MetricPoint(step=row[1], values=row[2], at=row[3])


def series(conn: Connection, scope: Scope, run_id: str, *, most: int) -> list[MetricPoint]:
    """Return a run's metrics by step: of more than `most` evenly chosen ones, with the last and all evaluated ones."""
    mine = (points.c.run_id == run_id) & _mine(scope)
    of_runs = points.join(runs, runs.c.id == points.c.run_id)
    known = conn.execute(select(func.count()).select_from(of_runs).where(mine)).scalar() or 0
    place = func.row_number().over(order_by=points.c.step.desc())
    placed = select(points, place.label("place")).select_from(of_runs).where(mine).subquery()
    query = select(placed).order_by(placed.c.step)
    if known > most:
        chosen = (placed.c.place - 1) % -(-known // most) == 0
        query = query.where(or_(chosen, cast(placed.c["values"], Text).contains(EVALUATED)))
    return [_point(row) for row in conn.execute(query)]


def count(conn: Connection, scope: Scope) -> int:
    """Return how many runs the project has."""
    query = select(func.count()).select_from(runs)
    return (
        conn.execute(query.where(runs.c.tenant == scope.tenant, runs.c.project == scope.project)).scalar()
        or 0
    )


def blobs_named(conn: Connection) -> Iterator[str]:
    """Yield the blobs of every run's artifacts of every scope."""
    yield from conn.execute(select(artifacts.c.sha256), execution_options={"yield_per": 1000}).scalars()
