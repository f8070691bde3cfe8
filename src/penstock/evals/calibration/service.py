"""The verbs of calibration."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids
from penstock.core.deferred import deferred
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.evals import store as runs
from penstock.evals.calibration import store
from penstock.evals.calibration.model import LEAST, THRESHOLD, Calibration, Figure, Figures, Label
from penstock.evals.calls.model import digest
from penstock.evals.judging.verdict import VERSION
from penstock.evals.model import EvalRun, RunState
from penstock.evals.runner import build_scorers
from penstock.evals.suite import ScorerSpec, Suite, check_reducer, parse_suite

if TYPE_CHECKING:
    from penstock.core import statistics
else:
    # It brings numpy, which only a measurement needs.
    statistics = deferred("penstock.core.statistics")

CUT = 0.5
"""A score at or above it is a yes where people said yes or no."""


def labels_of(home: Home, actor: Actor, *, dataset: str, column: str) -> list[Label]:
    """Return the labels in a dataset's column, by the version's key column or `id`; rows without one are left out.

    Yes and no, true and false count as 1 and 0. Raises NotFound, Invalid for a label that is no number.
    """
    with home.read() as uow:
        version = datasets.resolve(uow, actor, dataset)
    key = version.key or "id"
    rows = datasets.rows(home, actor, version.ref)
    return [Label(str(row[key]), _number(row[column])) for row in rows if row.get(column) is not None]


def _number(value: Any) -> float:
    words = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
    try:
        found = (
            words[value.strip().lower()] if isinstance(value, str) and not _digits(value) else float(value)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(
            f"{value!r} is no label.", hint="Labels are numbers, true and false, yes and no."
        ) from error
    if not math.isfinite(found):
        raise Invalid(f"{value!r} is no label.")
    return found


def _digits(text: str) -> bool:
    return text.strip()[:1] in "0123456789+-." if text.strip() else False


def judge_of(suite: Suite, metric: str) -> ScorerSpec | None:
    """Return the scorer that judges `metric` by a model's opinion, None when the metric comes from none."""
    base = metric
    for reducer in suite.reducers:
        if check_reducer(reducer, suite.epochs) is not None or reducer != "mean":
            base = base.removesuffix(f".{reducer}")
    for spec, scorer in zip(suite.scorers, build_scorers(suite.scorers), strict=True):
        if scorer.measure(base) is not None:
            return spec if getattr(scorer, "calibrated", False) else None
    return None


def identity(suite: Suite, spec: ScorerSpec) -> str:
    """Return the digest of all that makes the judge what it is."""
    return digest("judge", VERSION, spec.name, _public(spec.options), _public(suite.judge))


def _public(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _public(value) if isinstance(value, Mapping) else value
        for name, value in options.items()
        if name not in ("api_key", "timeout_s", "retries", "patience_s", "per_minute")
    }


def _agreement(
    people: Sequence[float], judged: Sequence[float], scale: tuple[float, float] | None
) -> tuple[float, Figure | None]:
    """Return the raw agreement and kappa: of yes and no without a scale, of its whole steps with one."""
    if scale is None:
        one, two = ([float(value >= CUT) for value in side] for side in (people, judged))
        weights = "none"
    else:
        steps = max(1, round(scale[1] - scale[0]))
        one, two = ([float(round(value * steps)) for value in side] for side in (people, judged))
        weights = "quadratic"
    same = sum(a == b for a, b in zip(one, two, strict=True)) / len(one)
    if len({*one, *two}) == 1:
        return same, None
    found = statistics.cohen_kappa(one, two, weights=weights)
    return same, Figure(value=found.value, low=found.low, high=found.high, n=found.n)


def _corrected(people: Sequence[float], said: Sequence[float], rest: Sequence[float]) -> Figure | None:
    if len(people) < 2 or len(rest) < 2:
        return None
    found = statistics.prediction_powered(people, said, rest)
    return Figure(value=found.value, low=found.low, high=found.high, n=found.n)


def _reason(kappa: Figure | None, labels: int, threshold: float) -> tuple[bool, str]:
    if labels < LEAST:
        return False, f"{labels} labels are too few; {LEAST} are needed."
    if kappa is None:
        return False, "Judge and people gave one label only, so agreement beyond chance is not defined."
    span = f"kappa {kappa.value:.2f}, 95 % interval {kappa.low:.2f} to {kappa.high:.2f}, {labels} labels"
    if kappa.low >= threshold:
        return True, f"The judge agrees with people: {span}; the lower end reaches {threshold:g}."
    return (
        False,
        f"The judge does not surely agree with people: {span}; the lower end is below {threshold:g}.",
    )


def calibrate(
    uow: UnitOfWork,
    actor: Actor,
    *,
    run_id: str,
    metric: str,
    labels: Iterable[Label],
    threshold: float = THRESHOLD,
    scale: tuple[float, float] | None = None,
) -> Calibration:
    """Measure a judge's agreement with people on the samples of a finished run, store and return it.

    Labels are 0 or 1 (or between, cut at 0.5), or lie on `scale`, from worst to best; the judge's scores, from 0 to 1,
    are then compared in the scale's whole steps with quadratic weights. Raises NotFound, Conflict for an unfinished
    run, Invalid for a metric that no judge gave or labels that fit no sample.
    """
    uow.may(actor, "evals.write", run_id)
    run = runs.run_by_id(uow.conn, actor.scope, run_id)
    if run is None:
        raise NotFound(f"There is no evaluation {run_id!r}.", hint="See `penstock evals list`.")
    if run.state is not RunState.SUCCEEDED:
        raise Conflict(f"The evaluation {run_id} is {run.state}: only finished runs calibrate judges.")
    suite = parse_suite(run.spec)
    spec = judge_of(suite, metric)
    if spec is None:
        raise Invalid(f"No judge of {run_id} gave the metric {metric!r}.")
    found = _figures(uow, actor, run, metric, list(labels), scale)
    may_gate, reason = _reason(found.kappa, found.labels, threshold)
    made = Calibration(
        id=ids.new_id("cal"),
        judge=identity(suite, spec),
        scorer=spec.name,
        options={**_public(spec.options), "suite_judge": _public(suite.judge)},
        metric=metric,
        run_id=run_id,
        figures=replace(found, threshold=threshold, reason=reason),
        may_gate=may_gate,
        actor=actor.name,
        created_at=clock.now(),
    )
    store.add(uow.conn, actor.scope, made)
    uow.audit(actor, "evals.calibrate", run_id, metric=metric, may_gate=may_gate)
    return made


def _figures(
    uow: UnitOfWork,
    actor: Actor,
    run: EvalRun,
    metric: str,
    labels: Sequence[Label],
    scale: tuple[float, float] | None,
) -> Figures:
    scores = {
        one.sample_id: one.scores[metric]
        for one in runs.results(uow.conn, actor.scope, run.id)
        if metric in one.scores
    }
    low, high = scale or (0.0, 1.0)
    if not low < high:
        raise Invalid("A scale goes from its lowest grade to its highest.")
    people = {one.sample_id: one.value for one in labels if one.sample_id in scores}
    if not people:
        raise Invalid(f"None of the labels is of a sample that {run.id} judged by {metric}.")
    if any(not low <= value <= high for value in people.values()):
        raise Invalid(f"A label lies outside {low:g} to {high:g}.", hint="Give the scale people labelled on.")
    truth = [(value - low) / (high - low) for value in people.values()]
    said = [scores[key] for key in people]
    same, kappa = _agreement(truth, said, scale)
    return Figures(
        kappa=kappa,
        agreement=same,
        labels=len(people),
        threshold=THRESHOLD,
        people=sum(truth) / len(truth),
        judged=sum(scores.values()) / len(scores),
        corrected=_corrected(truth, said, [value for key, value in scores.items() if key not in people]),
        reason="",
    )


def list_judges(
    uow: UnitOfWork, actor: Actor, *, before: str | None = None, limit: int = 100
) -> list[Calibration]:
    """Return the last calibration of each judge and metric, newest first."""
    uow.may(actor, "evals.read")
    return store.page(uow.conn, actor.scope, before=before, limit=limit)


def unfit(uow: UnitOfWork, actor: Actor, run: EvalRun, metrics: Iterable[str]) -> dict[str, str]:
    """Return metric → reason for the metrics of judges that may not gate, for want of agreement with people."""
    suite = parse_suite(run.spec)
    refused: dict[str, str] = {}
    for metric in set(metrics):
        spec = judge_of(suite, metric)
        if spec is None:
            continue
        found = store.newest(uow.conn, actor.scope, judge=identity(suite, spec), metric=metric)
        if found is None:
            refused[metric] = (
                f"{metric} is a judge's opinion, and this judge was never held against people: "
                "label some samples and run `penstock evals calibrate`."
            )
        elif not found.may_gate:
            refused[metric] = f"{metric} may not gate. {found.figures.reason}"
    return refused
