"""HTTP of prompt optimisation, under /api/v1/evals/optimisations."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.evals.optimise import service
from penstock.evals.optimise.bodies import instruction_of
from penstock.evals.optimise.model import Candidate, Optimisation, SearchState
from penstock.evals.optimise.plan import parse_plan

router = APIRouter(prefix="/optimisations")


class PromptStandingModel(BaseModel):
    """A figure on some rows."""

    value: float
    n: int
    low: float | None
    high: float | None


class PromptGainModel(BaseModel):
    """Held-out figure minus the original prompt's on the same rows."""

    difference: float
    low: float | None
    high: float | None
    p_adjusted: float = Field(description="After Holm's correction over all measured candidates")
    verdict: str = Field(description="better, worse or not shown")


class PromptCandidateModel(BaseModel):
    """A prompt that was tried."""

    id: str
    parent: str | None
    parents: list[str]
    method: str = Field(description="start, few_shot, rewrite or cross")
    model: str
    score: float | None = Field(description="The metric on the held-out rows; null when not measured there")
    low: float | None
    high: float | None
    n: int | None
    cost_usd: float | None = Field(description="Dollars per held-out answer, where prices are known")
    cost: PromptStandingModel | None = Field(description="Cost per held-out answer, in the cost_unit")
    gain: PromptGainModel | None
    selection: PromptStandingModel | None = Field(
        description="The metric on the rows candidates are chosen by"
    )
    dropped: bool
    note: str
    instruction: str
    shots: int = Field(description="Examples in the prompt")
    body: dict[str, Any] = Field(description="The prompt's body, as a version has it")
    prompt_version: str | None


class PromptBudgetModel(BaseModel):
    """What may be spent."""

    calls: int
    cost_usd: float | None


class PromptSpendingModel(BaseModel):
    """What was spent."""

    calls: int
    cost_usd: float
    lost: int = Field(description="Calls in flight when a process died: perhaps paid for")


class PromptSearchSummary(BaseModel):
    """A search for a better version of a prompt."""

    id: str
    prompt: str
    dataset: str
    metric: str
    state: SearchState
    stage: str = Field(description="What is being done: start, rewrite, race, cross, held_out")
    error: str
    budget: PromptBudgetModel
    spent: PromptSpendingModel
    best: str | None
    pareto: list[str]
    cost_unit: str = Field(description="USD, tokens, or empty when costs are not known")
    accepted: dict[str, Any] | None
    job_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class PromptSearchModel(PromptSearchSummary):
    """A search with its candidates."""

    spec: dict[str, Any]
    candidates: list[PromptCandidateModel]


class NewPromptSearch(BaseModel):
    """What is to be optimised; further fields are those of a plan (see the documentation)."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(min_length=1, max_length=200)
    dataset: str = Field(min_length=1, max_length=200)
    metric: str = Field(min_length=1, max_length=200)
    key: str | None = Field(default=None, max_length=200, description="Idempotency key")


class MorePromptBudget(BaseModel):
    """A larger budget for the whole of it."""

    model_config = ConfigDict(extra="forbid")

    max_calls: int | None = Field(default=None, ge=1)
    max_cost_usd: float | None = Field(default=None, gt=0)


class PromptAcceptance(BaseModel):
    """Which candidate becomes a version."""

    model_config = ConfigDict(extra="forbid")

    candidate: str | None = None
    note: str = Field(default="", max_length=10_000)


class AcceptedPromptModel(BaseModel):
    """The version that was made."""

    candidate: str
    prompt_version: str


class PromptCandidateRowModel(BaseModel):
    """A candidate's answer to a row."""

    sample_id: str
    part: str = Field(description="learn, select or held_out")
    text: str
    scores: dict[str, float]
    notes: dict[str, Any]
    error: str | None
    cost_usd: float | None
    latency_s: float | None
    trace_id: str | None


def _summary(found: Optimisation) -> dict[str, Any]:
    values = msgspec.to_builtins(found)
    budget = {"calls": found.spec["max_calls"], "cost_usd": found.spec.get("max_cost_usd")}
    names = PromptSearchSummary.model_fields
    return {name: values[name] for name in names if name in values} | {"budget": budget}


def _candidate(found: Optimisation, one: Candidate) -> PromptCandidateModel:
    held = one.held_out
    accepted = found.accepted or {}
    return PromptCandidateModel.model_validate(
        {
            **msgspec.to_builtins(one),
            "id": one.id,
            "parent": f"c{one.parents[0]}" if one.parents else None,
            "parents": [f"c{number}" for number in one.parents],
            "model": one.draft.model,
            "score": held.value if held else None,
            "low": held.low if held else None,
            "high": held.high if held else None,
            "n": held.n if held else None,
            "cost_usd": one.cost.value if one.cost is not None and found.cost_unit == "USD" else None,
            "instruction": instruction_of(one.body),
            "shots": len(one.draft.demos),
            "prompt_version": accepted.get("prompt_version") if accepted.get("candidate") == one.id else None,
        }
    )


@router.get("")
def list_optimisations(
    uow: ReadUow,
    actor: CurrentActor,
    prompt: Annotated[str | None, Query(description="Only those of this prompt")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[PromptSearchSummary]:
    """List searches for better prompts, newest first."""
    found = service.list_optimisations(uow, actor, prompt=prompt, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    items = [PromptSearchSummary.model_validate(_summary(one)) for one in found[:limit]]
    return Page(items=items, next=following)


@router.post("", status_code=201)
def start_optimisation(home: HomeDep, actor: CurrentActor, new: NewPromptSearch) -> PromptSearchSummary:
    """Queue a search for a better version of a prompt."""
    plan = parse_plan(new.model_dump(exclude={"key"}))
    return PromptSearchSummary.model_validate(_summary(service.start(home, actor, plan=plan, key=new.key)))


@router.get("/{id}")
def get_optimisation(uow: ReadUow, actor: CurrentActor, id: str) -> PromptSearchModel:
    """Return a search with its candidates, their figures and the front of quality and cost."""
    found = service.find(uow, actor, id)
    tried = [_candidate(found, one) for one in service.candidates(uow, actor, id)]
    return PromptSearchModel.model_validate(
        {**_summary(found), "spec": dict(found.spec), "candidates": tried}
    )


@router.get("/{id}/candidates/{candidate}/rows")
def list_candidate_rows(
    uow: ReadUow, actor: CurrentActor, id: str, candidate: str
) -> Page[PromptCandidateRowModel]:
    """List what a candidate answered to each row it was put to."""
    items = [
        PromptCandidateRowModel.model_validate({**msgspec.to_builtins(row), **_said(row.output)})
        for row in service.rows(uow, actor, id, candidate)
    ]
    return Page(items=items, next=None)


def _said(output: Any) -> dict[str, Any]:
    return {name: getattr(output, name) for name in ("text", "cost_usd", "latency_s", "trace_id")}


@router.post("/{id}/stop")
def stop_optimisation(uow: WriteUow, actor: CurrentActor, id: str) -> PromptSearchSummary:
    """Ask a search to stop; what was answered is kept."""
    return PromptSearchSummary.model_validate(_summary(service.stop(uow, actor, id)))


@router.post("/{id}/resume")
def resume_optimisation(
    home: HomeDep, actor: CurrentActor, id: str, more: MorePromptBudget | None = None
) -> PromptSearchSummary:
    """Queue a search that stopped or failed once more; what was answered is not paid for again."""
    given = more or MorePromptBudget()
    found = service.resume(
        home, actor, id=id, max_calls=given.max_calls, max_cost_usd=given.max_cost_usd, background=True
    )
    return PromptSearchSummary.model_validate(_summary(found))


@router.post("/{id}/accept")
def accept_candidate(
    uow: WriteUow, actor: CurrentActor, id: str, which: PromptAcceptance | None = None
) -> AcceptedPromptModel:
    """Add the best candidate, or the named one, as a version of its prompt; labels stay where they are."""
    given = which or PromptAcceptance()
    version = service.accept(uow, actor, id, name=given.candidate, note=given.note)
    accepted = service.find(uow, actor, id).accepted or {}
    return AcceptedPromptModel(candidate=accepted["candidate"], prompt_version=version.ref)
