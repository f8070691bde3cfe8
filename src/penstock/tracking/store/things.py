"""Experiments, runs and logged models: writing, loading, searching."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, select, update

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.tracking.model import (
    Experiment,
    Found,
    LoggedModel,
    ModelStatus,
    Run,
    RunStatus,
    State,
)
from penstock.tracking.search import Clause, Order
from penstock.tracking.store import facts, find
from penstock.tracking.store.tables import experiments, models, runs


def _mine(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def _row(scope: Scope, noun: Experiment | Run | LoggedModel, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(noun, name) for name in names}
    values |= {name: str(values[name]) for name in ("status", "state") if name in values}
    return {**values, "tenant": scope.tenant, "project": scope.project}


_EXPERIMENT = ("id", "name", "state", "created_at", "updated_at")
_RUN = ("id", "experiment_id", "name", "status", "user", "state", "started_at", "ended_at")
_MODEL = (
    "id", "experiment_id", "run_id", "name", "type", "status", "state", "created_at", "updated_at",
)  # fmt: skip


def insert_experiment(conn: Connection, scope: Scope, experiment: Experiment) -> bool:
    """Store an experiment; returns False when the project has one of that name."""
    row = _row(scope, experiment, _EXPERIMENT)
    return upsert(conn, experiments, [row], keys=["tenant", "project", "name"]) > 0


def _experiments(conn: Connection, rows: Sequence[Any]) -> list[Experiment]:
    found = [
        Experiment(
            id=row.id,
            name=row.name,
            state=State(row.state),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]
    tags = facts.pairs_of(conn, "tags", found)
    for one in found:
        one.tags.update(tags[one.id])
    return found


def get_experiment(conn: Connection, scope: Scope, *, id: str = "", name: str = "") -> Experiment | None:
    """Return an experiment by id or name."""
    wanted = experiments.c.id == id if id else experiments.c.name == name
    rows = conn.execute(select(experiments).where(_mine(experiments, scope), wanted)).all()
    return next(iter(_experiments(conn, rows)), None)


def update_experiment(conn: Connection, scope: Scope, experiment: Experiment, **values: Any) -> None:
    """Change columns of an experiment."""
    where = _mine(experiments, scope) & (experiments.c.id == experiment.id)
    conn.execute(update(experiments).where(where).values(**values))


def move_runs(conn: Connection, scope: Scope, experiment: Experiment, state: State) -> None:
    """Give all runs of an experiment the state."""
    where = _mine(runs, scope) & (runs.c.experiment_id == experiment.id)
    conn.execute(update(runs).where(where).values(state=str(state)))


def insert_run(conn: Connection, scope: Scope, run: Run) -> None:
    """Store a run."""
    conn.execute(runs.insert().values(**_row(scope, run, _RUN)))


def update_run(conn: Connection, scope: Scope, run: Run, **values: Any) -> None:
    """Change columns of a run."""
    conn.execute(update(runs).where(_mine(runs, scope), runs.c.id == run.id).values(**values))


def _runs(conn: Connection, rows: Sequence[Any]) -> list[Run]:
    found = [bare(row) for row in rows]
    params, tags = facts.pairs_of(conn, "params", found), facts.pairs_of(conn, "tags", found)
    last = facts.latest_of(conn, found)
    read, used = facts.inputs_of(conn, found), facts.uses_of(conn, found)
    return [
        Run(
            id=run.id,
            experiment_id=run.experiment_id,
            name=run.name,
            status=run.status,
            user=run.user,
            state=run.state,
            started_at=run.started_at,
            ended_at=run.ended_at,
            params=params[run.id],
            tags=tags[run.id],
            metrics={metric.key: metric for metric in last[run.id]},
            inputs=tuple(read[run.id]),
            models=tuple(used[run.id]),
        )
        for run in found
    ]


def get_run(conn: Connection, scope: Scope, run_id: str) -> Run | None:
    """Return a run with all it has."""
    rows = conn.execute(select(runs).where(_mine(runs, scope), runs.c.id == run_id)).all()
    return next(iter(_runs(conn, rows)), None)


def bare_run(conn: Connection, scope: Scope, run_id: str) -> Run | None:
    """Return a run without parameters, tags and metrics: for writing to it."""
    row = conn.execute(select(runs).where(_mine(runs, scope), runs.c.id == run_id)).first()
    return None if row is None else bare(row)


def bare(row: Any) -> Run:
    """Return the run of a row of its table, without parameters, tags and metrics."""
    return Run(
        id=row.id,
        experiment_id=row.experiment_id,
        name=row.name,
        status=RunStatus(row.status),
        user=row.user,
        state=State(row.state),
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def names_of(conn: Connection, scope: Scope, kind: str, ids: Sequence[str]) -> dict[str, str]:
    """Return id → name of those `runs` or `models` that there are."""
    table = runs if kind == "runs" else models
    query = select(table.c.id, table.c.name).where(_mine(table, scope), table.c.id.in_(list(ids)))
    return {row.id: row.name for row in conn.execute(query)}


def insert_model(conn: Connection, scope: Scope, model: LoggedModel) -> None:
    """Store a logged model."""
    conn.execute(models.insert().values(**_row(scope, model, _MODEL)))


def update_model(conn: Connection, scope: Scope, model: LoggedModel, **values: Any) -> None:
    """Change columns of a logged model."""
    conn.execute(update(models).where(_mine(models, scope), models.c.id == model.id).values(**values))


def _models(conn: Connection, rows: Sequence[Any]) -> list[LoggedModel]:
    found = [
        LoggedModel(**{name: row._mapping[name] for name in _MODEL if name not in ("status", "state")},
                    status=ModelStatus(row.status), state=State(row.state))
        for row in rows
    ]  # fmt: skip
    params, tags = facts.pairs_of(conn, "params", found), facts.pairs_of(conn, "tags", found)
    last = facts.latest_of(conn, found)
    return [
        LoggedModel(
            **{name: getattr(model, name) for name in _MODEL},
            params=params[model.id],
            tags=tags[model.id],
            metrics=tuple(last[model.id]),
        )
        for model in found
    ]


def models_of(conn: Connection, scope: Scope, run: Run) -> list[LoggedModel]:
    """Return the logged models that the run made, read or wrote, oldest first."""
    used = models.c.id.in_([use.model_id for use in run.models])
    where = (
        _mine(models, scope) & (models.c.state == str(State.ACTIVE)) & (used | (models.c.run_id == run.id))
    )
    return _models(conn, conn.execute(select(models).where(where).order_by(models.c.created_at)).all())


def get_model(conn: Connection, scope: Scope, model_id: str) -> LoggedModel | None:
    """Return a logged model."""
    rows = conn.execute(select(models).where(_mine(models, scope), models.c.id == model_id)).all()
    return next(iter(_models(conn, rows)), None)


_LOADERS: dict[str, tuple[find.Subject, Any]] = {
    "experiments": (find.EXPERIMENTS, _experiments),
    "runs": (find.RUNS, _runs),
    "models": (find.MODELS, _models),
}


def search(
    conn: Connection,
    scope: Scope,
    kind: str,
    *,
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    state: State | None,
    within: Sequence[str] | None = None,
    offset: int = 0,
    limit: int = 100,
) -> Found:
    """Return a page of `experiments`, `runs` or `models` that meet all conditions."""
    subject, load = _LOADERS[kind]
    query = find.statement(conn, scope, subject, clauses=clauses, orders=orders, state=state, within=within)
    rows = conn.execute(query.offset(offset).limit(limit + 1)).all()
    following = offset + limit if len(rows) > limit else None
    return Found(items=tuple(load(conn, rows[:limit])), next=following)
