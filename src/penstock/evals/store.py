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
from penstock.evals.model import (
    EvalRun,
    GateCheck,
    GateDecision,
    Metric,
    MetricKind,
    Output,
    RunState,
    SampleResult,
)

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
    UniqueConstraint("tenant", "project", "key"),
    Index("ix_evals_runs_scope", "tenant", "project", "id"),
)
samples = Table(
    "evals_samples",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("sample_id", String(200), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("split", String(64), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("messages", Json, nullable=False),
    Column("reference_texts", Json, nullable=False),
    Column("text", Text, nullable=False),
    Column("error", Text),
    Column("latency_s", Float),
    Column("ttft_s", Float),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("finish_reason", String(64), nullable=False),
    Column("trace_id", String(64)),
    Column("scores", Json, nullable=False),
    Column("sums", Json, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Index("ix_evals_samples_order", "run_id", "ordinal"),
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


def _complete(conn: Connection, scope: Scope, rows: Sequence[Any]) -> list[EvalRun]:
    ids = [row.id for row in rows]
    counts, found = _counts(conn, scope, ids), _metrics(conn, scope, ids)
    return [_run(row, counts.get(row.id, (0, 0)), found.get(row.id, [])) for row in rows]


def run_by_id(conn: Connection, scope: Scope, run_id: str) -> EvalRun | None:
    """Return the run, or None."""
    rows = list(conn.execute(select(runs).where(_in(runs, scope), runs.c.id == run_id)))
    return _complete(conn, scope, rows)[0] if rows else None


def run_by_key(conn: Connection, scope: Scope, key: str) -> EvalRun | None:
    """Return the run made with the idempotency key, or None."""
    rows = list(conn.execute(select(runs).where(_in(runs, scope), runs.c.key == key)))
    return _complete(conn, scope, rows)[0] if rows else None


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


def add_results(conn: Connection, scope: Scope, results: Sequence[SampleResult]) -> None:
    """Store finished samples; a sample stored before is left as it is."""
    rows = [
        {
            "run_id": result.run_id,
            "sample_id": result.sample_id,
            "tenant": scope.tenant,
            "project": scope.project,
            "ordinal": result.ordinal,
            "split": result.split,
            "content_hash": result.content_hash,
            "messages": result.messages,
            "reference_texts": result.references,
            "text": result.output.text,
            "error": result.output.error,
            "latency_s": result.output.latency_s,
            "ttft_s": result.output.ttft_s,
            "input_tokens": result.output.input_tokens,
            "output_tokens": result.output.output_tokens,
            "finish_reason": result.output.finish_reason,
            "trace_id": result.output.trace_id,
            "scores": result.scores,
            "sums": result.sums,
            "finished_at": result.finished_at,
        }
        for result in results
    ]
    upsert(conn, samples, rows, keys=["run_id", "sample_id"])


def done_ids(conn: Connection, scope: Scope, run_id: str) -> set[str]:
    """Return the ids of the run's stored samples."""
    query = select(samples.c.sample_id).where(_in(samples, scope), samples.c.run_id == run_id)
    return {row.sample_id for row in conn.execute(query)}


def forget_errors(conn: Connection, scope: Scope, run_id: str) -> int:
    """Delete the samples on which the target failed, so that they are tried again; returns how many."""
    statement = delete(samples).where(
        _in(samples, scope), samples.c.run_id == run_id, samples.c.error.is_not(None)
    )
    return conn.execute(statement).rowcount


def _result(row: Any) -> SampleResult:
    return SampleResult(
        run_id=row.run_id,
        sample_id=row.sample_id,
        ordinal=row.ordinal,
        split=row.split,
        content_hash=row.content_hash,
        messages=tuple(row.messages),
        references=tuple(row.reference_texts),
        output=Output(
            sample_id=row.sample_id,
            text=row.text,
            latency_s=row.latency_s,
            ttft_s=row.ttft_s,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            finish_reason=row.finish_reason,
            error=row.error,
            trace_id=row.trace_id,
        ),
        scores=row.scores,
        sums={name: tuple(values) for name, values in row.sums.items()},
        finished_at=row.finished_at,
    )


def results(
    conn: Connection, scope: Scope, run_id: str, *, after: int = -1, limit: int | None = None
) -> list[SampleResult]:
    """Return the run's samples in order, from ordinals above `after`."""
    query = select(samples).where(_in(samples, scope), samples.c.run_id == run_id, samples.c.ordinal > after)
    return [_result(row) for row in conn.execute(query.order_by(samples.c.ordinal).limit(limit))]


def replace_metrics(conn: Connection, scope: Scope, run_id: str, found: Sequence[Metric]) -> None:
    """Store the run's metrics in place of any earlier ones."""
    conn.execute(delete(metrics).where(_in(metrics, scope), metrics.c.run_id == run_id))
    rows = [
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
    if rows:
        conn.execute(metrics.insert(), rows)


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
