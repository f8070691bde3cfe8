"""HTTP of comparisons and of what gates leave behind, under /api/v1/evals."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow
from penstock.evals import badge, report, service
from penstock.evals.model import Comparison, MetricKind
from penstock.evals.row_diff import RowDifference, with_pieces

router = APIRouter()


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
    clusters: int | None = Field(default=None, description="How many clusters the pairs form")
    loss: float = Field(description="How much worse the candidate is; negative when better")
    verdict: str


class LeftOutModel(BaseModel):
    """Ids of samples that were not compared, the first 50 of each kind."""

    only_baseline: list[str]
    only_candidate: list[str]
    changed: list[str]
    failed: list[str]


class ComparedModel(BaseModel):
    """Two runs on the samples they share."""

    baseline_id: str
    candidate_id: str
    shared: int
    only_baseline: int
    only_candidate: int
    changed: int
    failed: int
    left_out: LeftOutModel
    differences: list[DifferenceModel] = Field(description="The worst regression first")


class PieceModel(BaseModel):
    """A run of text that both answers have, or only one of them."""

    op: Literal["equal", "insert", "delete"]
    text: str


class SideModel(BaseModel):
    """One run's answer to a sample."""

    run_id: str
    text: str
    error: str | None
    latency_s: float | None
    trace_id: str | None
    scores: dict[str, float]
    pieces: list[PieceModel] = Field(description="What turns the baseline's answer into this one, by word")


class RowModel(BaseModel):
    """One sample in all runs."""

    sample_id: str
    ordinal: int
    split: str
    status: Literal["compared", "changed", "failed", "only_baseline", "only_candidate"]
    messages: list[dict[str, Any]]
    references: list[str]
    sides: list[SideModel | None] = Field(description="The baseline's, then each candidate's")
    regression: float | None


class ComparisonModel(ComparedModel):
    """Runs on the samples they share: the first candidate at the top level, all of them in `comparisons`."""

    comparisons: list[ComparedModel]
    rows: list[RowModel] = Field(description="Samples side by side, the worst loss first")
    next: str | None = Field(description="Cursor of the next rows, for /evals/compare/rows")


Limit = Annotated[int, Query(ge=1, le=200)]
More = Annotated[list[str] | None, Query(description="Further candidates")]
Metric = Annotated[str | None, Query(description="What the rows are sorted by; all fractions without")]


def _compared(comparison: Comparison) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(comparison)
    for item, difference in zip(values["differences"], comparison.differences, strict=True):
        item["verdict"], item["loss"] = difference.verdict(), difference.loss
    return values


def _row(row: RowDifference) -> RowModel:
    values = msgspec.to_builtins(row)
    for side, pieces in zip(values["sides"], with_pieces(row), strict=True):
        if side is not None:
            side["pieces"] = msgspec.to_builtins(pieces)
    return RowModel.model_validate(values)


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal():
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return int(cursor)


def _page(rows: list[RowDifference], start: int, limit: int) -> Page[RowModel]:
    following = str(start + limit) if len(rows) > start + limit else None
    return Page(items=[_row(row) for row in rows[start : start + limit]], next=following)


@router.get("/compare")
def compare_runs(
    home: HomeDep,
    uow: ReadUow,
    actor: CurrentActor,
    baseline: str,
    candidate: str,
    more: More = None,
    cluster: Annotated[str | None, Query(description="Column whose equal values belong together")] = None,
    test: Literal["auto", "t"] = "auto",
    metric: Metric = None,
    limit: Limit = 50,
) -> ComparisonModel:
    """Compare finished runs in pairs: differences with intervals and tests, and the samples side by side."""
    candidates = [candidate, *(more or [])]
    clusters = service.clusters_by(home, actor, baseline, cluster) if cluster else None
    found = service.compare_many(uow, actor, baseline, candidates, clusters=clusters, test=test)
    rows = _page(service.compared_rows(uow, actor, [baseline, *candidates], metric=metric), 0, limit)
    comparisons = [_compared(one) for one in found]
    return ComparisonModel.model_validate(
        {**comparisons[0], "comparisons": comparisons, "rows": rows.items, "next": rows.next}
    )


@router.get("/compare/rows")
def compare_rows(
    uow: ReadUow,
    actor: CurrentActor,
    baseline: str,
    candidate: str,
    more: More = None,
    metric: Metric = None,
    cursor: str | None = None,
    limit: Limit = 50,
) -> Page[RowModel]:
    """List the samples of finished runs side by side, the worst loss first."""
    start = _offset(cursor)
    runs = [baseline, candidate, *(more or [])]
    return _page(service.compared_rows(uow, actor, runs, metric=metric), start, limit)


@router.get("/runs/{run_id}/badge.svg")
def run_badge(uow: ReadUow, actor: CurrentActor, run_id: str, metric: str | None = None) -> Response:
    """Return a badge of the run's last gate decision, or of one metric coloured by it."""
    run = service.get_run(uow, actor, run_id)
    decided = service.gates(uow, actor, run_id=run_id, limit=1)
    drawn = badge.of_run(run, decided[0] if decided else None, metric)
    return Response(drawn, media_type="image/svg+xml", headers={"cache-control": "no-cache"})


@router.get("/gates/{gate_id}/junit.xml")
def gate_junit(uow: ReadUow, actor: CurrentActor, gate_id: str) -> Response:
    """Return a gate's decision as JUnit XML."""
    drawn = report.gate_junit(service.find_gate(uow, actor, gate_id))
    return Response(drawn, media_type="application/xml")


@router.get("/gates/{gate_id}/summary.md")
def gate_summary(uow: ReadUow, actor: CurrentActor, gate_id: str) -> Response:
    """Return a gate's decision as Markdown."""
    drawn = report.gate_markdown(service.find_gate(uow, actor, gate_id))
    return Response(drawn, media_type="text/markdown")
