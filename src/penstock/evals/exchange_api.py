"""HTTP of imports, exports and red-team runs, under /api/v1/evals."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from penstock.core.errors import TooLarge
from penstock.core.http import CurrentActor, HomeDep, ReadUow
from penstock.evals import exchange_service, service
from penstock.evals.exchange.recorded import MAX_BYTES
from penstock.evals.redteam.attacks import Plan

router = APIRouter()

ImportFormat = Literal["inspect", "lm-eval", "garak", "pyrit"]
ExportFormat = Literal["inspect", "inspect-eval"]


class ImportedModel(BaseModel):
    """A run that was taken over."""

    id: str
    suite: str
    model: str
    samples: int
    notes: list[str] = Field(description="What could not be taken over")


class NewRedTeam(BaseModel):
    """Attacks to run against a target in the background."""

    model_config = ConfigDict(extra="forbid")

    target: dict[str, Any] = Field(description="As in a suite, e.g. {kind: gateway, model: NAME}")
    owasp: list[str] = Field(default=[], description="Risks LLM01 to LLM10 of 2026; all when empty")
    sources: list[str] = Field(default=[], description="Manners of attack; all when empty")
    mutators: list[str] = Field(default=["none"], description="Mutators, kinds of them, or all")
    system: str = Field(default="", description="The application's own system prompt")
    controls: bool = Field(default=True, description="Also ask harmless questions")
    seed: int = 0
    name: str = Field(default="redteam", min_length=1, max_length=200)
    concurrency: int = Field(default=8, ge=1, le=256)


class StartedModel(BaseModel):
    """The run that was queued."""

    run_id: str
    dataset: str
    job_id: str | None


class RateModel(BaseModel):
    """How often the attacks of one group worked."""

    group: str
    title: str
    other_id: str = Field(description="For risks: the id of 2025")
    attempts: int
    attacks: int
    succeeded: int
    rate: float
    low: float
    high: float
    method: str


class HeldOutModel(BaseModel):
    """The sources that nobody tuned against, beside the others."""

    sources: list[str]
    tuned: RateModel
    held_out: RateModel
    difference: float
    low: float | None
    high: float | None


class BreachModel(BaseModel):
    """An attack that worked."""

    sample_id: str
    owasp: str
    title: str
    mutator: str
    answer: str
    trace_id: str | None


class ReportModel(BaseModel):
    """A red-team run in figures."""

    run_id: str
    overall: RateModel
    by_owasp: list[RateModel]
    by_source: list[RateModel]
    by_mutator: list[RateModel]
    held_out: HeldOutModel | None
    over_refusal: RateModel | None
    errors: int
    breaches: list[BreachModel]


async def _body(request: Request) -> bytes:
    """Return the request's body; raises TooLarge as soon as it is."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BYTES:
            raise TooLarge("The log is larger than 256 MiB.", hint="Import it on the command line, in parts.")
        parts.append(part)
    return b"".join(parts)


@router.post("/import", status_code=201)
async def import_run(
    request: Request,
    home: HomeDep,
    actor: CurrentActor,
    format: ImportFormat,
    name: str | None = None,
    model: str | None = None,
    key: Annotated[str | None, Query(max_length=200, description="Idempotency key")] = None,
) -> ImportedModel:
    """Take over a run from another program's log, which is the body: .eval, .json or .jsonl."""
    content = await _body(request)

    def work() -> ImportedModel:
        run, notes = exchange_service.import_run(
            home, actor, format=format, content=content, name=name, model=model, key=key
        )
        return ImportedModel(
            id=run.id, suite=run.suite, model=run.model, samples=run.total, notes=list(notes)
        )

    return await run_in_threadpool(work)


@router.get("/runs/{run_id}/export")
def export_run(uow: ReadUow, actor: CurrentActor, run_id: str, format: ExportFormat = "inspect") -> Response:
    """Return a run as a log that Inspect and its viewer read."""
    content = exchange_service.export_run(uow, actor, run_id=run_id, format=format)
    _, ending, media = exchange_service.WRITERS[format]
    disposition = {"content-disposition": f'attachment; filename="{run_id}.{ending}"'}
    return Response(content, media_type=media, headers=disposition)


@router.post("/redteam", status_code=202)
def start_red_team(home: HomeDep, actor: CurrentActor, new: NewRedTeam) -> StartedModel:
    """Queue attacks on a target; GET /evals/runs/{run_id}/redteam says how they went."""
    plan = Plan(
        owasp=tuple(new.owasp),
        sources=tuple(new.sources),
        mutators=tuple(new.mutators),
        system=new.system,
        controls=new.controls,
        seed=new.seed,
    )
    suite = exchange_service.red_team_suite(
        home, actor, target=new.target, plan=plan, name=new.name, concurrency=new.concurrency
    )
    run = service.start(home, actor, suite=suite)
    return StartedModel(run_id=run.id, dataset=run.dataset, job_id=run.job_id)


@router.get("/runs/{run_id}/redteam")
def red_team_report(
    uow: ReadUow,
    actor: CurrentActor,
    run_id: str,
    held_out: Annotated[list[str] | None, Query(description="Sources nobody tuned against")] = None,
) -> ReportModel:
    """Return how often the attacks of a run worked, by risk, source and mutator."""
    found = exchange_service.red_team_report(uow, actor, run_id=run_id, held_out=held_out or ())
    return ReportModel.model_validate(msgspec.to_builtins(found))
