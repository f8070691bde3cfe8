"""What became of a prompt's versions: traffic, cost and quality from traces, and who relies on them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from penstock.core import clock, lineage
from penstock.core.http import CurrentActor, Page, ReadUow
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.prompts import service as prompts
from penstock.prompts.model import Prompt
from penstock.traces import service as traces
from penstock.traces.model import PromptScore, SeriesFilters, UsageRow

router = APIRouter(prefix="/prompts", tags=["prompts"])
FEEDBACK = "feedback"
"""The origin of scores that people gave."""
MAX_LABELLED = 20
"""Versions with a label whose callers are told."""


class Mean(BaseModel):
    """What one kind of score says of a version."""

    origin: str = Field(description="feedback (of people), evals, …")
    name: str
    count: int
    mean: float


class VersionUsage(BaseModel):
    """What one version of a prompt did."""

    version: int
    labels: list[str]
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced: int = Field(description="Calls whose price is not known: missing from cost_usd")
    p50_ms: float | None
    p95_ms: float | None
    score: float | None = Field(description="Mean of the most frequent score that is not people's")
    feedback: float | None = Field(description="Mean of the most frequent score that people gave")
    scores: list[Mean]


class Use(BaseModel):
    """A version of another prompt that includes this one."""

    prompt: str
    version: int
    reference: str = Field(description="How it names this prompt")
    labels: list[str]


class Caller(BaseModel):
    """Who calls a labelled version through the gateway, or traces calls with it."""

    version: int
    by: str = Field(description="route, key or environment")
    name: str
    calls: int


class Made(BaseModel):
    """What was made of a version, or measured with it."""

    version: int
    kind: str
    ref: str
    role: str


class WhereUsed(Page[Use]):
    """Everything that relies on a prompt."""

    callers: list[Caller]
    made: list[Made]


def _mean(scores: Iterable[PromptScore]) -> float | None:
    most = max(scores, key=lambda score: score.count, default=None)
    return None if most is None else most.mean


def _usage(prompt: Prompt, number: int, row: UsageRow | None, scores: list[PromptScore]) -> VersionUsage:
    people = [score for score in scores if score.origin == FEEDBACK]
    return VersionUsage(
        version=number,
        labels=_labels(prompt, number),
        calls=row.calls if row else 0,
        errors=row.errors if row else 0,
        input_tokens=row.input_tokens if row else 0,
        output_tokens=row.output_tokens if row else 0,
        cost_usd=row.cost_usd if row else 0.0,
        unpriced=row.unpriced if row else 0,
        p50_ms=row.p50_ms if row else None,
        p95_ms=row.p95_ms if row else None,
        score=_mean(score for score in scores if score.origin != FEEDBACK),
        feedback=_mean(people),
        scores=[
            Mean(origin=score.origin, name=score.name, count=score.count, mean=score.mean) for score in scores
        ],
    )


def _labels(prompt: Prompt, number: int) -> list[str]:
    return [label for label, at in prompt.labels.items() if at == number]


@router.get("/{name}/usage")
def usage(
    uow: ReadUow,
    actor: CurrentActor,
    name: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[VersionUsage]:
    """Calls, errors, cost, latency and scores of every version that was called, newest first."""
    prompt = prompts.find(uow, actor, name=name)
    since, until = _aware(since), _aware(until)
    refs = {f"{name}@{number}": number for number in range(prompt.versions, 0, -1)}
    called = {
        row.group: row
        for row in traces.usage(uow, actor, group_by="prompt", since=since, until=until)
        if row.group in refs
    }
    scores: dict[str, list[PromptScore]] = {}
    for score in traces.scores_by_prompt(uow, actor, prompts=list(refs), since=since, until=until):
        scores.setdefault(score.prompt, []).append(score)
    return Page(
        items=[
            _usage(prompt, number, called.get(ref), scores.get(ref, []))
            for ref, number in refs.items()
            if ref in called or ref in scores
        ],
        next=None,
    )


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else clock.parse_iso(moment.isoformat())


@router.get("/{name}/where-used")
def where_used(
    uow: ReadUow,
    actor: CurrentActor,
    name: str,
    since: datetime | None = None,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> WhereUsed:
    """Prompts that include this one; routes, keys and environments that call it; what was made with it."""
    prompt = prompts.find(uow, actor, name=name)
    last, number, reference = (*cursor.split("@", 2), "", "")[:3]
    after = (last, int(number) if number.isdecimal() else 0, reference)
    found = prompts.used_by(uow, actor, name=name, after=after, limit=limit + 1)
    items = [
        Use(prompt=use.prompt, version=use.version, reference=use.reference, labels=list(use.labels))
        for use in found[:limit]
    ]
    more = f"{items[-1].prompt}@{items[-1].version}@{items[-1].reference}" if len(found) > limit else None
    labelled = sorted(set(prompt.labels.values()), reverse=True)[:MAX_LABELLED]
    return WhereUsed(
        items=items,
        next=more,
        callers=[caller for version in labelled for caller in _callers(uow, actor, name, version, since)],
        made=[thing for version in labelled for thing in _made(uow, actor, name, version)],
    )


def _callers(uow: UnitOfWork, actor: Actor, name: str, version: int, since: datetime | None) -> list[Caller]:
    asked = SeriesFilters(prompt=f"{name}@{version}")
    found = []
    for by in ("route", "key", "environment"):
        group = traces.group_named(by)
        rows = traces.usage(uow, actor, group_by=group, since=_aware(since), filters=asked)
        found += [
            Caller(version=version, by=by, name=row.group, calls=row.calls) for row in rows if row.group
        ]
    return found


def _made(uow: UnitOfWork, actor: Actor, name: str, version: int) -> list[Made]:
    edges = lineage.neighbours(
        uow.conn, actor.scope, "prompt_version", f"{name}@{version}", direction="down", depth=1, limit=100
    )
    return [Made(version=version, kind=e.child_kind, ref=e.child_ref, role=e.role) for e in edges]
