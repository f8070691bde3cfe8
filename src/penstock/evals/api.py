"""HTTP of evaluations, under /api/v1/evals."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.evals import service
from penstock.evals.model import EvalRun, GateDecision, MetricKind, RunState, SampleResult
from penstock.evals.suite import parse_suite

router = APIRouter(prefix="/evals", tags=["evals"])


class MetricModel(BaseModel):
    """One figure with its 95 % interval."""

    name: str
    split: str
    value: float
    low: float | None
    high: float | None
    n: int
    method: str
    kind: MetricKind
    higher_is_better: bool
    unit: str


class RunModel(BaseModel):
    """An evaluation."""

    id: str
    suite: str
    spec: dict[str, Any]
    dataset: str
    dataset_version: str
    dataset_hash: str
    target: str
    model: str
    state: RunState
    error: str
    total: int
    done: int
    errors: int
    metrics: list[MetricModel]
    job_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class NewRun(BaseModel):
    """A suite to run in the background."""

    model_config = ConfigDict(extra="forbid")

    suite: dict[str, Any] = Field(description="The suite: name, dataset, target, scorers …")
    key: str | None = Field(default=None, max_length=200, description="Idempotency key")


class SampleModel(BaseModel):
    """One finished sample."""

    sample_id: str
    ordinal: int
    split: str
    messages: list[dict[str, Any]]
    references: list[str]
    text: str
    error: str | None
    latency_s: float | None
    ttft_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    finish_reason: str
    trace_id: str | None
    scores: dict[str, float]
    finished_at: datetime


class DifferenceModel(BaseModel):
    """One metric of two runs."""

    name: str
    split: str
    baseline: float
    candidate: float
    difference: float
    low: float | None
    high: float | None
    n: int
    p_value: float
    p_adjusted: float
    test: str
    interval: str
    higher_is_better: bool
    unit: str
    kind: MetricKind
    detectable: float | None
    verdict: str


class ComparisonModel(BaseModel):
    """Two runs on the samples they share."""

    baseline_id: str
    candidate_id: str
    shared: int
    only_baseline: int
    only_candidate: int
    changed: int
    failed: int
    differences: list[DifferenceModel]


class CheckModel(BaseModel):
    """One rule's outcome."""

    rule: str
    passed: bool
    reason: str


class GateModel(BaseModel):
    """A gate's decision."""

    id: str
    run_id: str
    baseline_id: str | None
    passed: bool
    checks: list[CheckModel]
    rules: list[dict[str, Any]]
    actor: str
    created_at: datetime


class NewGate(BaseModel):
    """Rules to hold a run against."""

    model_config = ConfigDict(extra="forbid")

    run_id: str
    baseline_id: str | None = None
    rules: list[dict[str, Any]] = Field(min_length=1)


Limit = Annotated[int, Query(ge=1, le=200)]


def _run(run: EvalRun) -> RunModel:
    return RunModel.model_validate(msgspec.to_builtins(run))


def _sample(result: SampleResult) -> SampleModel:
    values = msgspec.to_builtins(result)
    return SampleModel.model_validate({**values["output"], **values})


def _gate(decision: GateDecision) -> GateModel:
    return GateModel.model_validate(msgspec.to_builtins(decision))


@router.get("/runs")
def list_runs(
    uow: ReadUow,
    actor: CurrentActor,
    suite: str | None = None,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[RunModel]:
    """List evaluations, newest first."""
    found = service.list_runs(uow, actor, suite=suite, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_run(run) for run in found[:limit]], next=following)


@router.post("/runs", status_code=202)
def start_run(home: HomeDep, actor: CurrentActor, new: NewRun) -> RunModel:
    """Queue an evaluation; the background process runs it."""
    return _run(service.start(home, actor, suite=parse_suite(new.suite), key=new.key))


@router.get("/runs/{run_id}")
def get_run(uow: ReadUow, actor: CurrentActor, run_id: str) -> RunModel:
    """Return an evaluation with its metrics."""
    return _run(service.get_run(uow, actor, run_id))


@router.get("/runs/{run_id}/samples")
def list_samples(
    uow: ReadUow, actor: CurrentActor, run_id: str, cursor: str | None = None, limit: Limit = 100
) -> Page[SampleModel]:
    """List a run's finished samples in the dataset's order."""
    try:
        after = -1 if cursor is None else int(cursor)
    except ValueError as error:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.") from error
    found = service.samples(uow, actor, run_id, after=after, limit=limit + 1)
    following = str(found[limit - 1].ordinal) if len(found) > limit else None
    return Page(items=[_sample(result) for result in found[:limit]], next=following)


@router.get("/compare")
def compare_runs(uow: ReadUow, actor: CurrentActor, baseline: str, candidate: str) -> ComparisonModel:
    """Compare two finished runs in pairs."""
    comparison = service.compare(uow, actor, baseline, candidate)
    values = msgspec.to_builtins(comparison)
    for item, difference in zip(values["differences"], comparison.differences, strict=True):
        item["verdict"] = difference.verdict()
    return ComparisonModel.model_validate(values)


@router.get("/gates")
def list_gates(
    uow: ReadUow,
    actor: CurrentActor,
    run_id: str | None = None,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[GateModel]:
    """List gate decisions, newest first."""
    found = service.gates(uow, actor, run_id=run_id, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_gate(decision) for decision in found[:limit]], next=following)


@router.post("/gates", status_code=201)
def decide_gate(uow: WriteUow, actor: CurrentActor, new: NewGate) -> GateModel:
    """Hold a run against rules and record the decision."""
    decision = service.gate(uow, actor, run_id=new.run_id, baseline_id=new.baseline_id, rules=new.rules)
    return _gate(decision)
