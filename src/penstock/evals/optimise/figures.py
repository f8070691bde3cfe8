"""What the held-out rows say: quality and cost with intervals, gains over the original, and the front of both."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.core import clock
from penstock.evals.aggregate import summarise
from penstock.evals.comparison import compare_results, corrected_together
from penstock.evals.model import Measure, Metric, MetricKind, Output, Sample, SampleResult
from penstock.evals.optimise.field import Field
from penstock.evals.optimise.model import Candidate, Gain, Standing
from penstock.evals.optimise.pool import front
from penstock.evals.ports import Scorer

COST = "optimise.cost"


class Price:
    """The figure by which the cost of an answer is compared, read as a metric."""

    name = COST

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: the figure is put in where its unit is known."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return a mean of which less is better."""
        return Measure(kind=MetricKind.MEAN, higher_is_better=False) if metric == COST else None


def cost_unit(field: Field, measured: Sequence[Candidate]) -> str:
    """Return what costs can be told in: USD when every answer has a price, else tokens, else nothing."""
    outputs = [
        row.output for one in measured for row in _held(field, one).values() if row.output.error is None
    ]
    if all(output.cost_usd is not None for output in outputs):
        return "USD"
    return "tokens" if all(output.input_tokens is not None for output in outputs) else ""


def _held(field: Field, candidate: Candidate) -> dict[str, "SampleResult"]:
    known = field.desk.known(candidate)
    made: dict[str, SampleResult] = {}
    for one in field.parts.held_out:
        row = known.get(one.id)
        if row is None:
            continue
        output = row.output if row.error is None else replace(row.output, error=row.error)
        made[one.id] = SampleResult(
            run_id=candidate.id,
            sample_id=one.id,
            ordinal=one.ordinal,
            split="",
            content_hash=one.content_hash,
            messages=one.messages,
            references=one.references,
            output=output,
            scores=row.scores if row.error is None else {},
            sums={},
            finished_at=clock.now(),
        )
    return made


def _priced(results: Sequence[SampleResult], unit: str) -> list[SampleResult]:
    def cost(output: Output) -> dict[str, float]:
        if unit == "USD" and output.cost_usd is not None:
            return {COST: output.cost_usd}
        if unit == "tokens":
            return {COST: float((output.input_tokens or 0) + (output.output_tokens or 0))}
        return {}

    return [
        replace(one, scores={**one.scores, **cost(one.output)}) if one.output.error is None else one
        for one in results
    ]


def _standing(metrics: Sequence[Metric], name: str) -> Standing | None:
    found = next((one for one in metrics if one.name == name and one.split == ""), None)
    return None if found is None else Standing(value=found.value, low=found.low, high=found.high, n=found.n)


def report(
    field: Field, measured: Sequence[Candidate], *, higher: bool, seed: int
) -> tuple[str, list[str], str | None]:
    """Put figures on the measured candidates, the first of which is the original; returns (unit, front, best)."""
    unit = cost_unit(field, measured)
    scorers: list[Scorer] = [_Only(field), Price()]
    results = {
        one.number: _only(_priced([*_held(field, one).values()], unit), field.metric) for one in measured
    }
    for one in measured:
        metrics = summarise(scorers, results[one.number], seed=seed)
        field.change(
            replace(
                field.candidates[one.number],
                held_out=_standing(metrics, field.metric),
                cost=_standing(metrics, COST),
            )
        )
    _gains(field, measured, results, scorers)
    return unit, _front(field, measured, higher), _best(field, measured)


class _Only:
    """Of all metrics the one that is optimised."""

    name = "optimised"

    def __init__(self, field: Field) -> None:
        self._field = field

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: the rows are scored already."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return how the scorers read the metric."""
        if metric != self._field.metric:
            return None
        return next(
            (found for one in self._field.desk.scorers if (found := one.measure(metric)) is not None), None
        )


def _only(results: Sequence[SampleResult], metric: str) -> list[SampleResult]:
    return [
        replace(one, scores={name: value for name, value in one.scores.items() if name in (metric, COST)})
        for one in results
    ]


def _gains(
    field: Field,
    measured: Sequence[Candidate],
    results: dict[int, list[SampleResult]],
    scorers: Sequence[Scorer],
) -> None:
    first = measured[0]
    plain = {
        number: [
            replace(one, scores={name: value for name, value in one.scores.items() if name != COST})
            for one in found
        ]
        for number, found in results.items()
    }
    compared = [
        compare_results((first.id, plain[first.number]), (one.id, plain[one.number]), scorers)
        for one in measured[1:]
    ]
    for one, comparison in zip(measured[1:], corrected_together(compared), strict=True):
        found = comparison.difference(field.metric)
        if found is not None:
            gain = Gain(
                difference=found.difference,
                low=found.low,
                high=found.high,
                p_adjusted=found.p_adjusted,
                verdict=found.verdict(),
            )
            field.change(replace(field.candidates[one.number], gain=gain))


def _front(field: Field, measured: Sequence[Candidate], higher: bool) -> list[str]:
    points = {}
    for one in measured:
        found = field.candidates[one.number]
        if found.held_out is not None:
            quality = found.held_out.value if higher else -found.held_out.value
            points[found.id] = (quality, found.cost.value if found.cost is not None else 0.0)
    return front(points)


def _best(field: Field, measured: Sequence[Candidate]) -> str | None:
    ranked = field.ranked([field.candidates[one.number] for one in measured], field.parts.select)
    return ranked[0].id if ranked else None
