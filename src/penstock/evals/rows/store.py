"""SQL of finished samples and their attempts."""

from collections.abc import Sequence
from typing import Any

import msgspec
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
    delete,
    select,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.evals.model import Attempt, Output, SampleResult

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
    Column("cost_usd", Float),
    Column("extra", Json),
    Column("notes", Json),
    Column("score_error", Text),
    Index("ix_evals_samples_order", "run_id", "ordinal"),
)
attempts = Table(
    "evals_attempts",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("sample_id", String(200), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("result", Text, nullable=False),
    Column("failed", Boolean, nullable=False),
)

_attempt = msgspec.json.Decoder(Attempt)
_encode = msgspec.json.Encoder().encode


def _in(table: Table, scope: Scope) -> ColumnElement[bool]:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


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
            "cost_usd": result.output.cost_usd,
            "extra": result.output.extra or None,
            "notes": result.notes or None,
            "score_error": result.score_error,
        }
        for result in results
    ]
    upsert(conn, samples, rows, keys=["run_id", "sample_id"])


def done_ids(conn: Connection, scope: Scope, run_id: str) -> set[str]:
    """Return the ids of the run's stored samples."""
    query = select(samples.c.sample_id).where(_in(samples, scope), samples.c.run_id == run_id)
    return {row.sample_id for row in conn.execute(query)}


def unjudged_ids(conn: Connection, scope: Scope, run_id: str) -> list[str]:
    """Return the ids of the samples that a judge gave no verdict on."""
    query = select(samples.c.sample_id).where(
        _in(samples, scope), samples.c.run_id == run_id, samples.c.score_error.is_not(None)
    )
    return [row.sample_id for row in conn.execute(query)]


def forget_errors(conn: Connection, scope: Scope, run_id: str) -> int:
    """Delete samples on which the target or a judge failed, so that they are tried again; returns how many."""
    failed = samples.c.error.is_not(None) | samples.c.score_error.is_not(None)
    conn.execute(delete(attempts).where(_in(attempts, scope), attempts.c.run_id == run_id, attempts.c.failed))
    statement = delete(samples).where(_in(samples, scope), samples.c.run_id == run_id, failed)
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
            cost_usd=row.cost_usd,
            extra=row.extra or {},
        ),
        scores=row.scores,
        sums={name: tuple(values) for name, values in row.sums.items()},
        finished_at=row.finished_at,
        notes=row.notes or {},
        score_error=row.score_error,
    )


def results(
    conn: Connection, scope: Scope, run_id: str, *, after: int = -1, limit: int | None = None
) -> list[SampleResult]:
    """Return the run's samples in order, from ordinals above `after`."""
    query = select(samples).where(_in(samples, scope), samples.c.run_id == run_id, samples.c.ordinal > after)
    return [_result(row) for row in conn.execute(query.order_by(samples.c.ordinal).limit(limit))]


def add_attempts(conn: Connection, scope: Scope, run_id: str, found: Sequence[Attempt]) -> None:
    """Store attempts of a run with epochs; one stored before is left as it is."""
    rows = [
        {
            "run_id": run_id,
            "sample_id": one.output.sample_id,
            "epoch": one.epoch,
            "tenant": scope.tenant,
            "project": scope.project,
            "result": _encode(one).decode(),
            "failed": one.failed,
        }
        for one in found
    ]
    upsert(conn, attempts, rows, keys=["run_id", "sample_id", "epoch"])


def list_attempts(
    conn: Connection, scope: Scope, run_id: str, *, sample_id: str | None = None
) -> list[Attempt]:
    """Return the stored attempts of a run, or of one of its samples, by sample and epoch."""
    query = select(attempts.c.result).where(_in(attempts, scope), attempts.c.run_id == run_id)
    if sample_id is not None:
        query = query.where(attempts.c.sample_id == sample_id)
    found = conn.execute(query.order_by(attempts.c.sample_id, attempts.c.epoch))
    return [_attempt.decode(row.result) for row in found]
