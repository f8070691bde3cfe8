"""HTTP of evaluations, under /api/v1/evals."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow
from penstock.evals import compare_api, exchange_api, service
from penstock.evals.calibration import api as calibration_api
from penstock.evals.model import EvalRun, GateDecision, MetricKind, RunState, SampleResult
from penstock.evals.optimise import api as optimise_api
from penstock.evals.suite import Suite, parse_suite
from penstock.evals.suites import api as suites_api
from penstock.evals.suites import service as suites
from penstock.evals.suites.files import parse_text

router = APIRouter(prefix="/evals", tags=["evals"])
router.include_router(compare_api.router)
router.include_router(exchange_api.router)
router.include_router(suites_api.router)
router.include_router(calibration_api.router)
router.include_router(optimise_api.router)


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


class ProgressModel(BaseModel):
    """How far a run is, as of the last second."""

    done: int
    total: int
    errors: int
    judge_errors: int = 0
    calls: int = Field(default=0, description="Calls that were paid for, judges' included")
    cached: int = Field(default=0, description="Answers that were there already")
    lost: int = Field(default=0, description="Calls in flight when a process was killed: perhaps paid for")
    cost_usd: float = Field(default=0.0, description="Lost calls at the mean price")
    eta_s: float | None = None


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
    progress: ProgressModel
    metrics: list[MetricModel]
    job_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class NewRun(BaseModel):
    """A suite to run in the background."""

    model_config = ConfigDict(extra="forbid")

    suite: dict[str, Any] | str = Field(
        description="The suite: name, dataset, target, scorers …; or its YAML; or the name of a stored one"
    )
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
    cost_usd: float | None
    extra: dict[str, Any]
    scores: dict[str, float]
    notes: dict[str, Any] = Field(description="Scorer → its reasons")
    score_error: str | None = Field(description="Why a judge gave no verdict")
    finished_at: datetime


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
    allow_first: bool = Field(
        default=False, description="With the baseline `latest-passed`: pass when there is none yet"
    )


Limit = Annotated[int, Query(ge=1, le=200)]


def _run(run: EvalRun) -> RunModel:
    values = msgspec.to_builtins(run)
    counted = {"done": run.done, "total": run.total, "errors": run.errors}
    return RunModel.model_validate({**values, "progress": {**values["progress"], **counted}})


def _sample(result: SampleResult) -> SampleModel:
    values = msgspec.to_builtins(result)
    return SampleModel.model_validate({**values["output"], **values})


def _gate(decision: GateDecision) -> GateModel:
    return GateModel.model_validate(msgspec.to_builtins(decision))


def _suite(home: HomeDep, actor: CurrentActor, given: dict[str, Any] | str) -> Suite:
    if isinstance(given, str) and "\n" not in given.strip() and ":" not in given:
        with home.read() as uow:
            return suites.load(uow, actor, given.strip())
    return parse_suite(parse_text(given) if isinstance(given, str) else given)


class AttemptModel(BaseModel):
    """One epoch's answer to a sample."""

    epoch: int
    text: str
    error: str | None
    trace_id: str | None
    scores: dict[str, float]
    notes: dict[str, Any]
    score_error: str | None


@router.get("/runs/{run_id}/attempts/{sample_id}")
def list_attempts(uow: ReadUow, actor: CurrentActor, run_id: str, sample_id: str) -> Page[AttemptModel]:
    """List each epoch's answer to a sample; none when the run has one epoch."""
    found = service.attempts(uow, actor, run_id, sample_id)
    items = [
        AttemptModel(
            epoch=one.epoch,
            text=one.output.text,
            error=one.output.error,
            trace_id=one.output.trace_id,
            scores=dict(one.scores),
            notes=dict(one.notes),
            score_error=one.score_error,
        )
        for one in found
    ]
    return Page(items=items, next=None)


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
    return _run(service.start(home, actor, suite=_suite(home, actor, new.suite), key=new.key))


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
def decide_gate(home: HomeDep, actor: CurrentActor, new: NewGate) -> GateModel:
    """Hold a run against rules and record the decision."""
    decision = service.decide(
        home,
        actor,
        run_id=new.run_id,
        baseline_id=new.baseline_id,
        rules=new.rules,
        allow_first=new.allow_first,
    )
    return _gate(decision)
