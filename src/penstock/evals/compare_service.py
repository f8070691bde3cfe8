"""The verbs that hold finished runs against each other and against rules."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids
from penstock.core.deferred import deferred
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.evals import gating, store
from penstock.evals.calibration import service as calibration
from penstock.evals.clusters import clusters_of
from penstock.evals.epochs import measuring
from penstock.evals.events import GateDecided
from penstock.evals.model import Comparison, EvalRun, GateDecision, Measure, RunState
from penstock.evals.ports import Scorer
from penstock.evals.row_diff import RowDifference, row_differences
from penstock.evals.runner import build_scorers
from penstock.evals.suite import ScorerSpec, parse_suite

if TYPE_CHECKING:
    from penstock.evals import aggregate
    from penstock.evals import comparison as pairing
else:
    # They bring numpy, which only a comparison needs.
    aggregate = deferred("penstock.evals.aggregate")
    pairing = deferred("penstock.evals.comparison")

LATEST_PASSED = "latest-passed"
"""Stands for the newest finished run of the same suite that its gate let pass."""
MAX_RUNS = 10
RECORDED = "recorded"
_TESTS = ("auto", "t")


def find_run(uow: UnitOfWork, actor: Actor, run_id: str) -> EvalRun:
    """Return the run with its metrics; raises NotFound."""
    uow.may(actor, "evals.read", run_id)
    found = store.run_by_id(uow.conn, actor.scope, run_id)
    if found is None:
        raise NotFound(f"There is no evaluation {run_id!r}.", hint="See `penstock evals list`.")
    return found


def _finished(uow: UnitOfWork, actor: Actor, run_ids: Sequence[str]) -> list[EvalRun]:
    runs = [find_run(uow, actor, run_id) for run_id in run_ids]
    for run in runs:
        if run.state is not RunState.SUCCEEDED:
            raise Conflict(f"The evaluation {run.id} is {run.state}: only finished runs can be compared.")
    if len({run.id for run in runs}) < len(runs):
        raise Invalid("A run cannot be compared with itself.", hint="Name each run once.")
    if not 2 <= len(runs) <= MAX_RUNS:
        raise Invalid(f"Between two and {MAX_RUNS} runs can be compared at once.")
    return runs


def shared_scorers(first: Sequence[ScorerSpec], second: Sequence[ScorerSpec]) -> list[ScorerSpec]:
    """Return the scorers that both suites used with the same options; of recorded figures, the metrics both have."""
    by_name = {spec.name: spec for spec in first}
    shared = []
    for spec in second:
        other = by_name.get(spec.name)
        if other is None:
            continue
        if spec.name == RECORDED:
            both = _shared_metrics(spec.options.get("metrics", {}), other.options.get("metrics", {}))
            shared.append(ScorerSpec(name=RECORDED, options={"metrics": both}))
        elif spec == other:
            shared.append(spec)
    return shared


def _shared_metrics(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics both runs recorded in the same sense; what is 0 and 1 in one run only is a mean in both."""
    both = {}
    for name, how in mine.items():
        other = theirs.get(name)
        if other is not None and other.get("higher_is_better") == how.get("higher_is_better"):
            both[name] = how if other == how else {**how, "kind": "mean", "unit": ""}
    return both


def compare(
    uow: UnitOfWork,
    actor: Actor,
    baseline_id: str,
    candidate_id: str,
    *,
    clusters: Mapping[str, str] | None = None,
    test: str = "auto",
) -> Comparison:
    """Return the paired comparison of two finished runs.

    Only scorers that both runs used with the same options are compared. `clusters` says per sample id which
    samples belong together, see `clusters_by`; `test` is auto, or t for Student's paired test of means.
    Raises NotFound, Conflict when a run has not finished, Invalid when they share no samples.
    """
    return compare_many(uow, actor, baseline_id, [candidate_id], clusters=clusters, test=test)[0]


def compare_many(
    uow: UnitOfWork,
    actor: Actor,
    baseline_id: str,
    candidate_ids: Sequence[str],
    *,
    clusters: Mapping[str, str] | None = None,
    test: str = "auto",
) -> tuple[Comparison, ...]:
    """Return the comparison of each candidate with the baseline, p-values corrected over all of them together.

    Otherwise as `compare`.
    """
    if test not in _TESTS:
        raise Invalid(f"There is no test {test!r}.", hint=did_you_mean(test, _TESTS))
    runs = _finished(uow, actor, [baseline_id, *candidate_ids])
    suites = [parse_suite(run.spec) for run in runs]
    base = store.results(uow.conn, actor.scope, baseline_id)
    found = []
    for run, suite in zip(runs[1:], suites[1:], strict=True):
        results = store.results(uow.conn, actor.scope, run.id)
        scorers = measuring(build_scorers(shared_scorers(suites[0].scorers, suite.scorers)), suite)
        if not {result.sample_id for result in base} & {result.sample_id for result in results}:
            raise Invalid(
                f"{baseline_id} and {run.id} have no samples in common.",
                hint="Run both on the same dataset version and split.",
            )
        method = pairing.Method(clusters=clusters, student=test == "t", seed=suite.seed)
        found.append(pairing.compare_results((baseline_id, base), (run.id, results), scorers, method=method))
    return pairing.corrected_together(found) if len(found) > 1 else tuple(found)


def clusters_by(home: Home, actor: Actor, run_id: str, column: str) -> dict[str, str]:
    """Return sample id → value of a column of the dataset that the run used: equal values belong together.

    Raises NotFound, and Invalid when the dataset has no such column.
    """
    with home.read() as uow:
        run = find_run(uow, actor, run_id)
    return clusters_of(home, actor, run, column)


def rows(
    uow: UnitOfWork, actor: Actor, run_ids: Sequence[str], *, metric: str | None = None
) -> list[RowDifference]:
    """Return the samples of finished runs side by side, the first run being the baseline, worst losses first.

    `metric` chooses what the order goes by. Raises NotFound, Conflict, and Invalid for a metric that the runs
    do not share.
    """
    runs = _finished(uow, actor, run_ids)
    suites = [parse_suite(run.spec) for run in runs]
    shared: Sequence[ScorerSpec] = suites[0].scorers
    for suite in suites[1:]:
        shared = shared_scorers(shared, suite.scorers)
    results = [(run.id, store.results(uow.conn, actor.scope, run.id)) for run in runs]
    names = sorted({name for _, found in results for result in found for name in result.scores})
    measures = _measures(measuring(build_scorers(shared), suites[-1]), names)
    if metric is not None and metric not in measures:
        hint = did_you_mean(metric, sorted(measures))
        raise Invalid(f"The runs share no metric {metric!r} per sample.", hint=hint)
    return row_differences(results, measures, metric)


def _measures(scorers: Sequence[Scorer], names: Sequence[str]) -> dict[str, Measure]:
    known = {}
    for name in names:
        measure = next((found for s in scorers if (found := s.measure(name)) is not None), None)
        if measure is not None:
            known[name] = measure
    return known


def _latest_passed(uow: UnitOfWork, actor: Actor, candidate: EvalRun) -> str | None:
    before: str | None = None
    while found := store.list_runs(
        uow.conn, actor.scope, suite=candidate.suite, before=before or candidate.id, limit=50
    ):
        for run in found:
            if run.state is RunState.SUCCEEDED:
                decided = store.list_gates(uow.conn, actor.scope, run_id=run.id, before=None, limit=1)
                if decided and decided[0].passed:
                    return run.id
        before = found[-1].id
    return None


def _against(uow: UnitOfWork, actor: Actor, candidate: EvalRun, baseline_id: str | None) -> gating.Against:
    if baseline_id is None:
        raise Invalid(
            "This gate compares with a baseline.", hint="Name the baseline run, or allow the first."
        )
    if candidate.state is not RunState.SUCCEEDED:
        return gating.Against()
    baseline = find_run(uow, actor, baseline_id)
    return gating.Against(baseline=baseline, comparison=compare(uow, actor, baseline_id, candidate.id))


def decide(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    rules: Sequence[Mapping[str, Any]],
    baseline_id: str | None = None,
    allow_first: bool = False,
) -> GateDecision:
    """Decide whether a run passes `rules`, record the decision and return it with its reasons.

    While samples are read and statistics made, others can write.

    A rule is `{metric, min|max}`, `{metric, max_ratio}`, `{metric, not_worse_than: baseline, margin}`,
    `{metric, no_regression: baseline, margin, power}` or `{metric, better_than: baseline, alpha}`, each with an
    optional `split`. The baseline `latest-passed` is the newest earlier run of the suite that a gate let pass;
    when there is none, `allow_first` lets the rules that need one pass, saying so. Raises NotFound, Invalid
    for a rule that makes no sense, Conflict when the baseline has not finished.
    """
    with home.read() as uow:
        decision = _weighed(
            uow, actor, run_id=run_id, rules=rules, baseline_id=baseline_id, allow_first=allow_first
        )
    with home.begin() as uow:
        find_run(uow, actor, run_id)
        _record(uow, actor, decision)
    return decision


def _weighed(
    uow: UnitOfWork,
    actor: Actor,
    *,
    run_id: str,
    rules: Sequence[Mapping[str, Any]],
    baseline_id: str | None,
    allow_first: bool,
) -> GateDecision:
    uow.may(actor, "evals.write", run_id)
    if not rules:
        raise Invalid("A gate needs at least one rule.", hint="Write {metric: exact, min: 0.7}.")
    parsed = [gating.parse_rule(rule) for rule in rules]
    candidate = find_run(uow, actor, run_id)
    if baseline_id == LATEST_PASSED:
        baseline_id = _latest_passed(uow, actor, candidate)
        allow_first = allow_first and baseline_id is None
    else:
        allow_first = False
    against = gating.Against(first=allow_first)
    if gating.needs_baseline(parsed) and not allow_first:
        against = _against(uow, actor, candidate, baseline_id)
    checks = gating.evaluate(parsed, candidate, against)
    if candidate.state is RunState.SUCCEEDED:
        unfit = calibration.unfit(uow, actor, candidate, [rule.metric for rule in parsed])
        checks = gating.without_unfit(parsed, checks, unfit)
    return GateDecision(
        id=ids.new_id("gate"),
        run_id=run_id,
        baseline_id=baseline_id,
        passed=all(check.passed for check in checks),
        checks=checks,
        rules=tuple(dict(rule) for rule in rules),
        actor=actor.name,
        created_at=clock.now(),
    )


def _record(uow: UnitOfWork, actor: Actor, decision: GateDecision) -> None:
    store.insert_gate(uow.conn, actor.scope, decision)
    links = [Link("eval_run", decision.run_id, "candidate")]
    if decision.baseline_id is not None:
        links.append(Link("eval_run", decision.baseline_id, "baseline"))
    uow.link(actor.scope, ("gate", decision.id), links)
    uow.audit(actor, "evals.gate", decision.run_id, gate=decision.id, passed=decision.passed)
    uow.publish(GateDecided(gate_id=decision.id, run_id=decision.run_id, passed=decision.passed), actor.scope)


def gates(
    uow: UnitOfWork, actor: Actor, *, run_id: str | None = None, before: str | None = None, limit: int = 100
) -> list[GateDecision]:
    """Return gate decisions, newest first."""
    uow.may(actor, "evals.read")
    return store.list_gates(uow.conn, actor.scope, run_id=run_id, before=before, limit=limit)


def find_gate(uow: UnitOfWork, actor: Actor, gate_id: str) -> GateDecision:
    """Return one gate decision; raises NotFound."""
    uow.may(actor, "evals.read", gate_id)
    # Ids have one length, so the first one below a longer text is the id itself, when there is such a gate.
    found = store.list_gates(uow.conn, actor.scope, run_id=None, before=f"{gate_id}0", limit=1)
    if not found or found[0].id != gate_id:
        raise NotFound(f"There is no gate decision {gate_id!r}.", hint="See GET /api/v1/evals/gates.")
    return found[0]
