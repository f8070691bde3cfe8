"""Runs side by side, one row per sample: what each answered, and where it got worse."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from penstock.evals.model import Measure, SampleResult

Status = Literal["compared", "changed", "failed", "only_baseline", "only_candidate"]
MAX_WORDS = 2000
"""Longer answers are shown as replaced as a whole: a diff by word costs the product of both lengths."""
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that both answers have, or only one of them."""

    op: Literal["equal", "insert", "delete"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run's answer to a sample."""

    run_id: str
    text: str
    error: str | None
    latency_s: float | None
    trace_id: str | None
    scores: Mapping[str, float]
    pieces: tuple[Piece, ...] = ()
    """What turns the baseline's answer into this one, by word; empty for the baseline and for equal answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDifference:
    """One sample in all runs."""

    sample_id: str
    ordinal: int
    split: str
    status: Status
    """`changed`: the runs asked something else under the same id; `failed`: a run has no answer."""
    messages: tuple[Mapping[str, Any], ...]
    references: tuple[str, ...]
    sides: tuple[Side | None, ...]
    """The baseline's answer, then each candidate's; None where a run lacks the sample."""
    regression: float | None
    """How much the worst candidate lost; negative when all gained, None when nothing can be compared."""


def word_pieces(before: str, after: str) -> tuple[Piece, ...]:
    """Return the pieces that turn `before` into `after`; equal + delete joined is `before`, equal + insert `after`."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > MAX_WORDS:
        whole = (Piece("delete", before), Piece("insert", after))
        return tuple(piece for piece in whole if piece.text)
    pieces: list[Piece] = []
    for op, i1, i2, j1, j2 in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if op == "equal":
            pieces.append(Piece("equal", "".join(old[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(Piece("delete", "".join(old[i1:i2])))
        if j2 > j1:
            pieces.append(Piece("insert", "".join(new[j1:j2])))
    return tuple(pieces)


def row_differences(
    runs: Sequence[tuple[str, Sequence[SampleResult]]], measures: Mapping[str, Measure], metric: str | None
) -> list[RowDifference]:
    """Return one row per sample of any run, the baseline being the first of (run id, results).

    Samples that only a candidate failed on come first, then by the loss in `metric` (without one: the mean loss
    over all metrics that are fractions), the worst first; what cannot be compared comes last. The pieces of
    the answers are not filled in: `with_pieces` does that for the rows that are shown.
    """
    found = [{result.sample_id: result for result in results} for _, results in runs]
    names = [metric] if metric else [name for name, m in measures.items() if m.unit == "fraction"]
    chosen = {name: measures[name] for name in names or list(measures)}
    keys = {key: None for results in found for key in results}
    rows = [_row(runs, [results.get(key) for results in found], chosen) for key in keys]
    return sorted(rows, key=_order)


def with_pieces(row: RowDifference) -> tuple[tuple[Piece, ...], ...]:
    """Return per side what turns the baseline's answer into that side's."""
    base = row.sides[0]
    if base is None or base.error is not None:
        return tuple(() for _ in row.sides)
    return tuple(
        word_pieces(base.text, side.text) if side is not None and side.text != base.text else ()
        for side in row.sides
    )


def _order(row: RowDifference) -> tuple[int, float, int, str]:
    base = row.sides[0]
    broke = row.status == "failed" and base is not None and base.error is None
    if row.regression is not None:
        return 1, -row.regression, row.ordinal, row.sample_id
    return 0 if broke else 2, 0.0, row.ordinal, row.sample_id


def _row(
    runs: Sequence[tuple[str, Sequence[SampleResult]]],
    results: Sequence[SampleResult | None],
    measures: Mapping[str, Measure],
) -> RowDifference:
    shown = next(result for result in results if result is not None)
    status = _status(results)
    sides = tuple(
        None if result is None else _side(run_id, result)
        for (run_id, _), result in zip(runs, results, strict=True)
    )
    losses = [_loss(results[0], other, measures) for other in results[1:]]
    known = [loss for loss in losses if loss is not None]
    return RowDifference(
        sample_id=shown.sample_id,
        ordinal=shown.ordinal,
        split=shown.split,
        status=status,
        messages=shown.messages,
        references=shown.references,
        sides=sides,
        regression=max(known) if known and status == "compared" else None,
    )


def _side(run_id: str, result: SampleResult) -> Side:
    output = result.output
    return Side(
        run_id=run_id,
        text=output.text,
        error=output.error,
        latency_s=output.latency_s,
        trace_id=output.trace_id,
        scores=dict(result.scores),
    )


def _status(results: Sequence[SampleResult | None]) -> Status:
    base, others = results[0], [result for result in results[1:] if result is not None]
    if base is None:
        return "only_candidate"
    if not others:
        return "only_baseline"
    if any(other.content_hash != base.content_hash for other in others):
        return "changed"
    if any(result.output.error is not None for result in (base, *others)):
        return "failed"
    return "compared"


def _loss(
    base: SampleResult | None, other: SampleResult | None, measures: Mapping[str, Measure]
) -> float | None:
    if base is None or other is None:
        return None
    losses = []
    for name, measure in measures.items():
        if name in base.scores and name in other.scores:
            change = other.scores[name] - base.scores[name]
            losses.append(-change if measure.higher_is_better else change)
    return sum(losses) / len(losses) if losses else None
