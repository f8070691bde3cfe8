"""SQL of evaluation runs, their samples, metrics and gate decisions."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    case,
    delete,
    func,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.evals.model import EvalRun, GateCheck, GateDecision, Metric, MetricKind, RunState
from penstock.evals.rows import store as rows

samples = rows.samples
add_results = rows.add_results
done_ids = rows.done_ids
forget_errors = rows.forget_errors
results = rows.results
unjudged_ids = rows.unjudged_ids
add_attempts = rows.add_attempts
list_attempts = rows.list_attempts

runs = Table(
    "evals_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("key", String(200)),
    Column("suite", String(200), nullable=False),
    Column("spec", Json, nullable=False),
    Column("dataset", String(200), nullable=False),
    Column("dataset_version", String(64), nullable=False),
    Column("dataset_hash", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("model", String(300), nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("job_id", String(40)),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("progress", Json),
    UniqueConstraint("tenant", "project", "key"),
    Index("ix_evals_runs_scope", "tenant", "project", "id"),
)
metrics = Table(
    "evals_metrics",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("split", String(64), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("position", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("n", Integer, nullable=False),
    Column("method", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("higher_is_better", Boolean, nullable=False),
    Column("unit", String(32), nullable=False),
)
gates = Table(
    "evals_gates",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("baseline_id", String(40)),
    Column("passed", Boolean, nullable=False),
    Column("rules", Json, nullable=False),
    Column("checks", Json, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_evals_gates_scope", "tenant", "project", "id"),
    Index("ix_evals_gates_run", "run_id"),
)


def _in(table: Table, scope: Scope) -> ColumnElement[bool]:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def insert_run(conn: Connection, scope: Scope, run: EvalRun) -> bool:
    """Store a new run; returns False when a run with the same key exists already."""
    row = {
        "id": run.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "key": run.key,
        "suite": run.suite,
        "spec": dict(run.spec),
        "dataset": run.dataset,
        "dataset_version": run.dataset_version,
        "dataset_hash": run.dataset_hash,
        "target": run.target,
        "model": run.model,
        "state": str(run.state),
        "error": "",
        "total": run.total,
        "job_id": run.job_id,
        "created_at": run.created_at,
    }
    return upsert(conn, runs, [row], keys=["tenant", "project", "key"]) > 0


def update_run(conn: Connection, scope: Scope, run_id: str, **values: Any) -> None:
    """Set columns of a run."""
    conn.execute(update(runs).where(_in(runs, scope), runs.c.id == run_id).values(**values))


def _run(row: Any, counts: tuple[int, int], found: Sequence[Metric]) -> EvalRun:
    return EvalRun(
        id=row.id,
        suite=row.suite,
        spec=row.spec,
        dataset=row.dataset,
        dataset_version=row.dataset_version,
        dataset_hash=row.dataset_hash,
        target=row.target,
        model=row.model,
        state=RunState(row.state),
        error=row.error,
        total=row.total,
        done=counts[0],
        errors=counts[1],
        metrics=tuple(found),
        key=row.key,
        job_id=row.job_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        progress=row.progress or {},
    )


def _counts(conn: Connection, scope: Scope, run_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    failed = func.sum(case((samples.c.error.is_not(None), 1), else_=0))
    query = (
        select(samples.c.run_id, func.count(), failed)
        .where(_in(samples, scope), samples.c.run_id.in_(run_ids))
        .group_by(samples.c.run_id)
    )
    return {run_id: (int(done), int(errors)) for run_id, done, errors in conn.execute(query)}


def _metrics(conn: Connection, scope: Scope, run_ids: Sequence[str]) -> dict[str, list[Metric]]:
    query = (
        select(metrics).where(_in(metrics, scope), metrics.c.run_id.in_(run_ids)).order_by(metrics.c.position)
    )
    found: dict[str, list[Metric]] = {}
    for row in conn.execute(query):
        found.setdefault(row.run_id, []).append(
            Metric(
                name=row.name,
                split=row.split,
                value=row.value,
                low=row.low,
                high=row.high,
                n=row.n,
                method=row.method,
                kind=MetricKind(row.kind),
                higher_is_better=row.higher_is_better,
                unit=row.unit,
            )
        )
    return found


def _complete(conn: Connection, scope: Scope, loaded: Sequence[Any]) -> list[EvalRun]:
    ids = [row.id for row in loaded]
    counts, found = _counts(conn, scope, ids), _metrics(conn, scope, ids)
    return [_run(row, counts.get(row.id, (0, 0)), found.get(row.id, [])) for row in loaded]


def run_by_id(conn: Connection, scope: Scope, run_id: str) -> EvalRun | None:
    """Return the run, or None."""
    loaded = list(conn.execute(select(runs).where(_in(runs, scope), runs.c.id == run_id)))
    return _complete(conn, scope, loaded)[0] if loaded else None


def run_by_key(conn: Connection, scope: Scope, key: str) -> EvalRun | None:
    """Return the run made with the idempotency key, or None."""
    loaded = list(conn.execute(select(runs).where(_in(runs, scope), runs.c.key == key)))
    return _complete(conn, scope, loaded)[0] if loaded else None


def list_runs(
    conn: Connection, scope: Scope, *, suite: str | None, before: str | None, limit: int
) -> list[EvalRun]:
    """Return runs, newest first."""
    query = select(runs).where(_in(runs, scope))
    if suite is not None:
        query = query.where(runs.c.suite == suite)
    if before is not None:
        query = query.where(runs.c.id < before)
    return _complete(conn, scope, list(conn.execute(query.order_by(runs.c.id.desc()).limit(limit))))


def newest_run(conn: Connection, scope: Scope, *, suite: str, model: str) -> EvalRun | None:
    """Return the newest run of the suite that `model` finished, or None."""
    query = select(runs).where(_in(runs, scope), runs.c.suite == suite, runs.c.model == model)
    query = query.where(runs.c.state == str(RunState.SUCCEEDED)).order_by(runs.c.id.desc()).limit(1)
    loaded = list(conn.execute(query))
    return _complete(conn, scope, loaded)[0] if loaded else None


def replace_metrics(conn: Connection, scope: Scope, run_id: str, found: Sequence[Metric]) -> None:
    """Store the run's metrics in place of any earlier ones."""
    conn.execute(delete(metrics).where(_in(metrics, scope), metrics.c.run_id == run_id))
    fresh = [
        {
            "run_id": run_id,
            "split": metric.split,
            "name": metric.name,
            "tenant": scope.tenant,
            "project": scope.project,
            "position": position,
            "value": metric.value,
            "low": metric.low,
            "high": metric.high,
            "n": metric.n,
            "method": metric.method,
            "kind": str(metric.kind),
            "higher_is_better": metric.higher_is_better,
            "unit": metric.unit,
        }
        for position, metric in enumerate(found)
    ]
    if fresh:
        conn.execute(metrics.insert(), fresh)


def insert_gate(conn: Connection, scope: Scope, decision: GateDecision) -> None:
    """Store a gate's decision."""
    checks = [{"rule": c.rule, "passed": c.passed, "reason": c.reason} for c in decision.checks]
    conn.execute(
        gates.insert().values(
            id=decision.id,
            tenant=scope.tenant,
            project=scope.project,
            run_id=decision.run_id,
            baseline_id=decision.baseline_id,
            passed=decision.passed,
            rules=[dict(rule) for rule in decision.rules],
            checks=checks,
            actor=decision.actor,
            created_at=decision.created_at,
        )
    )


def list_gates(
    conn: Connection, scope: Scope, *, run_id: str | None, before: str | None, limit: int
) -> list[GateDecision]:
    """Return gate decisions, newest first."""
    query = select(gates).where(_in(gates, scope))
    if run_id is not None:
        query = query.where(gates.c.run_id == run_id)
    if before is not None:
        query = query.where(gates.c.id < before)
    return [_gate(row) for row in conn.execute(query.order_by(gates.c.id.desc()).limit(limit))]


def _gate(row: Any) -> GateDecision:
    return GateDecision(
        id=row.id,
        run_id=row.run_id,
        baseline_id=row.baseline_id,
        passed=row.passed,
        checks=tuple(GateCheck(**check) for check in row.checks),
        rules=tuple(row.rules),
        actor=row.actor,
        created_at=row.created_at,
    )


def count(conn: Connection, scope: Scope, *, of_gates: bool = False) -> int:
    """Return how many runs, or gate decisions, the project has."""
    table = gates if of_gates else runs
    query = select(func.count()).select_from(table)
    return (
        conn.execute(query.where(table.c.tenant == scope.tenant, table.c.project == scope.project)).scalar()
        or 0
    )
