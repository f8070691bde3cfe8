"""HTTP of releases, under /api/v1/releases."""

import math
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.release import service
from penstock.release.model import Kind, Release, State, SubjectType, Verb
from penstock.release.reading import plan_of

router = APIRouter(prefix="/releases", tags=["releases"])
Id = Annotated[str, Path(description="The release's id, or its name: then the newest of that name")]


class ReleaseSubjectModel(BaseModel):
    """What is released."""

    model_config = ConfigDict(extra="forbid")

    type: SubjectType
    route: str = Field(default="", description="The route whose calls are divided")
    deployment: str = Field(default="", description="The deployment whose model is replaced")
    prompt: str = ""
    label: str = "production"


class PlannedArmModel(BaseModel):
    """One side of a release; the first is the control."""

    model_config = ConfigDict(extra="forbid")

    name: str
    weight: float = Field(default=1.0, gt=0)
    provider: str = ""
    model: str = Field(default="", description="A provider's model; of a deployment a registry reference")
    route: str = Field(default="", description="A route to go on with")
    version: int | None = Field(default=None, description="Of the prompt")
    params: dict[str, Any] = Field(default_factory=dict, description="Members set in every request")


class ReleaseStepModel(BaseModel):
    """A share of the traffic, and how long it lasts at least."""

    model_config = ConfigDict(extra="forbid")

    weight: float = Field(gt=0, le=1)
    min_calls: int = Field(default=200, ge=1)
    min_seconds: float = Field(default=60.0, ge=0)


class NewReleaseMetric(BaseModel):
    """Something that the release is judged by."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description="errors, guard_hits, latency, first_token, cost, output_tokens, feedback:NAME or score:NAME"
    )
    direction: str = Field(default="", description="down where less is better, up where more is")
    harm: float | None = Field(default=None, gt=0, description="The loss that matters")


class NewRelease(BaseModel):
    """A release to begin."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Kind
    subject: ReleaseSubjectModel
    arms: list[PlannedArmModel]
    steps: list[ReleaseStepModel] = Field(default_factory=list)
    metrics: list[NewReleaseMetric] = Field(default_factory=list)
    alpha: float = Field(default=0.05, description="Chance of any wrong stop in the whole release")
    sticky_by: str = Field(default="user", description="user, session, key or call")
    evidence: str = Field(default="no_harm", description="What a step needs to end: no_harm or proven")
    goal: str = Field(default="", description="The metric by which A/B tests and bandits choose")
    sampler: str = Field(default="top_two", description="top_two or track_and_stop")
    suite: str = Field(
        default="",
        description="A stored suite whose scorers and judge are taken as they are now: NAME, or NAME@VERSION",
    )
    scorers: list[str | dict[str, Any]] = Field(
        default_factory=list, description="Scorers, as in a suite, that look at answers: score:NAME"
    )
    score_share: float = Field(default=1.0, gt=0, le=1, description="Part of the calls they look at")
    judge: dict[str, Any] = Field(
        default_factory=dict, description="The model that judging scorers ask: {model: ROUTE}"
    )
    judge_share: float = Field(default=0.1, gt=0, le=1, description="Part of the calls that are judged")
    judge_usd: float = Field(default=1.0, gt=0, description="What judging may cost in the whole release")
    auto_promote: bool | None = Field(default=None, description="Default: canaries do, others wait")
    max_in_flight: int = Field(default=10, ge=1, description="Copies at once of a shadow")
    usd_per_day: float | None = Field(default=None, ge=0, description="What copies may cost in a day")


class ReleaseMetricModel(BaseModel):
    """A metric with everything filled in."""

    name: str
    direction: str
    harm: float
    relative: bool
    binary: bool


class ArmMetricModel(BaseModel):
    """A metric's mean in one arm; the interval holds at every moment at once."""

    mean: float
    low: float
    high: float
    n: int


class ReleaseArmModel(BaseModel):
    """An arm, its share now and what it did."""

    name: str
    weight: float
    calls: int
    plan: PlannedArmModel
    metrics: dict[str, ArmMetricModel]


class ReleaseComparisonModel(BaseModel):
    """An arm against the control in one metric; the interval holds at every moment at once."""

    arm: str
    metric: str
    difference: float
    low: float | None = Field(description="null: nothing is known on this side yet")
    high: float | None
    relative: bool = Field(description="Whether these are shares of the control's mean")
    harm: float
    p_value: float = Field(description="Always-valid: as small as the smallest alpha that would reject")
    verdict: str = Field(description="harmful, better, safe or open")


class RatioCheckModel(BaseModel):
    """Whether the arms got the shares they were to get."""

    ok: bool
    p_value: float
    counts: dict[str, int]
    expected: dict[str, float]


class ReleaseDecisionModel(BaseModel):
    """One entry of the decision log."""

    at: datetime
    decision: Verb
    reason: str
    evidence: dict[str, Any]
    by: str


class ReleaseJudgingModel(BaseModel):
    """What judging the answers came to so far."""

    share: float = Field(description="Part of the calls whose answers are judged")
    calls: int = Field(description="Answers of judges that were paid for")
    spent_usd: float
    cap_usd: float
    stopped: bool = Field(description="Whether judges are asked no more; the decision log says why")


class ReleaseModel(BaseModel):
    """A release as it stands."""

    id: str
    name: str
    kind: Kind
    state: State
    subject: ReleaseSubjectModel
    step: int
    steps: list[ReleaseStepModel]
    phase: int
    shares: dict[str, float]
    winner: str
    alpha: float
    sticky_by: str
    evidence: str
    goal: str
    auto_promote: bool
    author: str
    created_at: datetime
    step_at: datetime
    ended_at: datetime | None


class ReleaseDetail(ReleaseModel):
    """A release, its arms, what they are compared to, and every decision."""

    arms: list[ReleaseArmModel]
    metrics: list[ReleaseMetricModel]
    comparisons: list[ReleaseComparisonModel]
    ratio_check: RatioCheckModel
    suite: str = Field(description="The stored suite that scorers and judge were taken from; empty: none")
    judging: ReleaseJudgingModel | None = Field(description="null: no judge looks at answers")
    decisions: list[ReleaseDecisionModel]


class ReleaseReason(BaseModel):
    """Why somebody decides."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=1000)


class ReleasePromotion(ReleaseReason):
    """Which arm becomes the rule, and why."""

    arm: str = Field(default="", description="Default: the one the evidence chose, else the only new one")


def _fields(release: Release) -> dict[str, Any]:
    plan = msgspec.to_builtins(release.plan)
    own: dict[str, Any] = msgspec.to_builtins(release)
    names = ("name", "kind", "subject", "steps", "alpha", "sticky_by", "evidence", "auto_promote")
    return own | {name: plan[name] for name in names} | {"goal": release.plan.target.name}


def _model(release: Release) -> ReleaseModel:
    return ReleaseModel.model_validate(
        {name: value for name, value in _fields(release).items() if name in ReleaseModel.model_fields}
    )


def _finite(value: float) -> float | None:
    return value if abs(value) < 1e300 else None


def _p_value(evidence: float) -> float:
    return math.exp(-evidence) if evidence > 0 else 1.0


def _detail(uow: UnitOfWork, actor: Actor, id: str) -> ReleaseDetail:
    release = service.find(uow, actor, id=id)
    found = service.report(uow, actor, id=release.id)
    plans = {arm.name: msgspec.to_builtins(arm) for arm in release.plan.arms}
    comparisons = [
        {
            name: value
            for name, value in msgspec.to_builtins(each).items()
            if name not in ("evidence", "excess")
        }
        | {
            "low": _finite(each.low),
            "high": _finite(each.high),
            "p_value": _p_value(max(each.evidence, each.excess or 0.0)),
        }
        for each in found.comparisons
    ]
    ratio: dict[str, Any] = msgspec.to_builtins(found.ratio)
    ratio["p_value"] = _p_value(ratio.pop("evidence"))
    own = {name: value for name, value in _fields(release).items() if name in ReleaseModel.model_fields}
    judged = service.spent_on_judging(uow, actor, release)
    return ReleaseDetail.model_validate(
        own
        | {
            "arms": [msgspec.to_builtins(arm) | {"plan": plans[arm.name]} for arm in found.arms],
            "metrics": msgspec.to_builtins(release.plan.metrics),
            "comparisons": comparisons,
            "ratio_check": ratio,
            "suite": release.plan.suite,
            "judging": None if judged is None else msgspec.to_builtins(judged),
            "decisions": [msgspec.to_builtins(each) for each in service.decisions(uow, actor, id=release.id)],
        }
    )


@router.get("")
def list_releases(
    uow: ReadUow,
    actor: CurrentActor,
    state: Annotated[list[State] | None, Query()] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[ReleaseModel]:
    """List releases, newest first."""
    found = service.list_releases(uow, actor, states=state or (), before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return Page(items=[_model(release) for release in found[:limit]], next=following)


@router.post("", status_code=201)
def start_release(uow: WriteUow, actor: CurrentActor, new: NewRelease) -> ReleaseDetail:
    """Begin a release; calls are divided within half a second."""
    return _detail(uow, actor, service.start(uow, actor, plan=plan_of(new.model_dump(mode="json"))).id)


@router.get("/{id}")
def get_release(uow: ReadUow, actor: CurrentActor, id: Id) -> ReleaseDetail:
    """Return a release with its arms, comparisons and decisions."""
    return _detail(uow, actor, id)


@router.post("/{id}/rollback")
def roll_back_release(
    uow: WriteUow, actor: CurrentActor, id: Id, why: ReleaseReason | None = None
) -> ReleaseDetail:
    """Let every call go where it went before, at once; also after a promotion."""
    reason = why.reason if why is not None else ""
    return _detail(uow, actor, service.roll_back(uow, actor, id=id, reason=reason).id)


@router.post("/{id}/promote")
def promote_release(
    uow: WriteUow, actor: CurrentActor, id: Id, new: ReleasePromotion | None = None
) -> ReleaseDetail:
    """Let every call go to an arm for good."""
    wanted = new or ReleasePromotion()
    return _detail(uow, actor, service.promote(uow, actor, id=id, arm=wanted.arm, reason=wanted.reason).id)


@router.post("/{id}/pause")
def pause_release(uow: WriteUow, actor: CurrentActor, id: Id) -> ReleaseDetail:
    """Keep the shares and decide nothing until resumed."""
    return _detail(uow, actor, service.pause(uow, actor, id=id).id)


@router.post("/{id}/resume")
def resume_release(uow: WriteUow, actor: CurrentActor, id: Id) -> ReleaseDetail:
    """Go on deciding."""
    return _detail(uow, actor, service.resume(uow, actor, id=id).id)


@router.post("/{id}/step")
def step_release(uow: WriteUow, actor: CurrentActor, id: Id) -> ReleaseDetail:
    """Go on to a canary's next step without waiting for the evidence."""
    return _detail(uow, actor, service.step(uow, actor, id=id).id)
