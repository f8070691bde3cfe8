"""HTTP of optimisation, under /api/v1/optimise."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.evals.suite import parse_suite
from penstock.optimise import methods, model, service
from penstock.optimise.model import Optimisation, OptimiseState, Variant

router = APIRouter(prefix="/optimise", tags=["optimise"])


class OptimiseStepModel(BaseModel):
    """One variant to make."""

    model_config = ConfigDict(extra="forbid")

    method: str = Field(description="merge, gguf, onnx, ctranslate2, torchao, prune, distil")
    options: dict[str, Any] = Field(default_factory=dict, description="See GET /optimise/methods")


class OptimiseChoiceModel(BaseModel):
    """How the variant to use is chosen."""

    model_config = ConfigDict(extra="forbid")

    by: Literal["tokens_per_s", "first_token_s", "load_s", "memory_bytes", "size_bytes"] = "tokens_per_s"
    metric: str = Field(
        default="", description="The suite's metric for quality; empty: its first scorer's that is no cost"
    )
    alpha: float = Field(default=0.05, gt=0, lt=1)
    margin: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Also call worse what may have lost more"
    )


class OptimiseTrialModel(BaseModel):
    """How variants are measured."""

    model_config = ConfigDict(extra="forbid")

    threads: int = Field(default=1, ge=1, le=256)
    tokens: int = Field(default=64, ge=2, le=4096)
    repeats: int = Field(default=3, ge=1, le=100)
    max_tokens: int = Field(default=256, ge=1, le=65_536)
    memory_mb: int = Field(
        default=0, ge=0, description="Most memory of a process, and its claim; 0: no limit"
    )
    priority: int = Field(default=0, ge=-100, le=100, description="Above 0 needs the role admin")


class NewOptimisation(BaseModel):
    """A version and the variants to make of it."""

    model_config = ConfigDict(extra="forbid")

    version: str
    to: list[OptimiseStepModel] = Field(min_length=1, max_length=service.MOST_VARIANTS)
    suite: str | dict[str, Any] | None = Field(
        default=None, description="A stored suite's name, or a suite; its target is the variant"
    )
    choose: OptimiseChoiceModel = OptimiseChoiceModel()
    trial: OptimiseTrialModel = OptimiseTrialModel()


class VariantQualityModel(BaseModel):
    """A variant's figure on the suite, and its paired difference from the parent's."""

    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    higher_is_better: bool
    eval_run: str
    delta: float | None
    delta_low: float | None
    delta_high: float | None
    p_value: float | None
    detectable: float | None
    worse: bool | None


class OptimiseVariantModel(BaseModel):
    """One variant, or the parent at position 0; figures are null until it was measured."""

    position: int
    method: str
    options: dict[str, Any]
    state: OptimiseState
    version: str | None
    runner: str
    size_bytes: int | None = None
    load_s: float | None = None
    start_s: float | None = None
    memory_bytes: int | None = None
    tokens_per_s: float | None = None
    first_token_s: float | None = None
    prompts: int | None = None
    tokens: int | None = None
    provider: str = ""
    quality: VariantQualityModel | None
    error: str | None


class OptimisationModel(BaseModel):
    """An optimisation: the parent, its variants as measured, and which was chosen."""

    id: str
    parent: str
    suite: dict[str, Any] | None
    choose: OptimiseChoiceModel
    trial: OptimiseTrialModel
    state: OptimiseState
    job_id: str | None
    baseline: OptimiseVariantModel
    variants: list[OptimiseVariantModel]
    edge: list[int] = Field(
        description="Positions that no other beats in both quality and the cost chosen by"
    )
    chosen: str | None
    reason: str
    error: str | None
    author: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class OptimiseMethodModel(BaseModel):
    """A way to make a variant."""

    name: str
    text: str
    runner: str
    main: str = Field(description="The option that a bare value on the command line means")
    options: dict[str, Any] = Field(description="Their JSON Schema")


OptimisationId = Annotated[str, Path(description="The optimisation's id")]


def _variant(variant: Variant) -> dict[str, Any]:
    shown = msgspec.to_builtins(variant)
    return {**{key: value for key, value in shown.items() if key != "figures"}, **(shown["figures"] or {})}


def shown(found: Optimisation) -> dict[str, Any]:
    """Return an optimisation as JSON."""
    return {
        **msgspec.to_builtins(found),
        "baseline": _variant(found.baseline),
        "variants": [_variant(variant) for variant in found.variants],
        "edge": model.pareto(found.baseline, found.variants, found.choose.by),
    }


def _model(found: Optimisation) -> OptimisationModel:
    return OptimisationModel.model_validate(shown(found))


@router.get("/methods")
def list_methods(_actor: CurrentActor) -> Page[OptimiseMethodModel]:
    """List the ways to make a variant with the options of each."""
    found = [
        OptimiseMethodModel(
            name=method.name,
            text=(method.options.__doc__ or "").strip(),
            runner=method.runner,
            main=method.main,
            options=msgspec.json.schema(method.options),
        )
        for method in methods.METHODS.values()
    ]
    return Page(items=found, next=None)


@router.get("")
def list_optimisations(
    uow: ReadUow,
    actor: CurrentActor,
    version: Annotated[str, Query(description="Only those of this parent version")] = "",
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Page[OptimisationModel]:
    """List optimisations, newest first."""
    found = service.list_optimisations(uow, actor, version=version or None, before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_model(one) for one in found[:limit]], next=following)


@router.post("", status_code=201)
def start_optimisation(home: HomeDep, actor: CurrentActor, new: NewOptimisation) -> OptimisationModel:
    """Queue the making, measuring and judging of variants."""
    if isinstance(new.suite, str):
        with home.read() as uow:
            suite = service.stored_suite(uow, actor, new.suite)
    elif new.suite is not None:
        suite = parse_suite({"target": {"kind": "model"}, **new.suite})
    else:
        suite = None
    request = service.Request(
        version=new.version,
        to=[methods.checked(step.method, step.options) for step in new.to],
        suite=suite,
        choose=msgspec.convert(new.choose.model_dump(), model.Choice),
        trial=msgspec.convert(new.trial.model_dump(), model.Trial),
    )
    return _model(service.start(home, actor, request))


@router.get("/{optimisation_id}")
def get_optimisation(uow: ReadUow, actor: CurrentActor, optimisation_id: OptimisationId) -> OptimisationModel:
    """Return an optimisation with every variant's figures and quality."""
    return _model(service.get(uow, actor, run_id=optimisation_id))


@router.post("/{optimisation_id}/cancel")
def cancel_optimisation(
    uow: WriteUow, actor: CurrentActor, optimisation_id: OptimisationId
) -> OptimisationModel:
    """Ask an optimisation to stop."""
    return _model(service.cancel(uow, actor, run_id=optimisation_id))
