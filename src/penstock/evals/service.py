"""The verbs of evaluations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids, jobs
from penstock.core.deferred import deferred
from penstock.core.errors import Busy, Cancelled, Conflict, Invalid, NotFound, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.evals import dataset_source, gating, store
from penstock.evals.callable_target import CallableTarget
from penstock.evals.events import GateDecided, RunFinished
from penstock.evals.model import Comparison, EvalRun, GateDecision, RunState, SampleResult
from penstock.evals.ports import Scorer, Target, TargetContext
from penstock.evals.runner import Progress, Recording, build_scorers, signatures
from penstock.evals.suite import REDACTED, SIGNATURES, Suite, parse_suite, to_spec
from penstock.evals.target_choice import opened, pin_model

if TYPE_CHECKING:
    from penstock.evals import aggregate
    from penstock.evals import comparison as pairing
else:
    # They bring numpy, which only a finished run needs.
    aggregate = deferred("penstock.evals.aggregate")
    pairing = deferred("penstock.evals.comparison")

JOB_KIND = "evals.run"


def _no_progress(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


def create(
    home: Home, actor: Actor, *, suite: Suite, key: str | None = None, job_id: str | None = None
) -> EvalRun:
    """Make a queued run with its dataset and model pinned; with a `key` that was used before, return that run.

    Raises NotFound for an unknown dataset or model, Invalid for an unknown scorer, split or target.
    """
    with home.read() as uow:
        uow.may(actor, "evals.write", suite.name)
        existing = store.run_by_key(uow.conn, actor.scope, key) if key else None
    if existing is not None:
        return existing
    build_scorers(suite.scorers)
    version = dataset_source.pin(home, actor, suite)
    target, links = pin_model(home, actor, suite.target)
    dataset = version.ref
    run = EvalRun(
        id=ids.new_id("evr"),
        suite=suite.name,
        spec=to_spec(replace(suite, dataset=dataset, target=target)),
        dataset=dataset,
        dataset_version=version.id,
        dataset_hash=version.hash,
        target=str(target["kind"]),
        model=str(target.get("model") or target.get("name") or target.get("folder") or ""),
        state=RunState.QUEUED,
        key=key,
        job_id=job_id,
        created_at=clock.now(),
    )
    with home.begin() as uow:
        if not store.insert_run(uow.conn, actor.scope, run) and key:
            return store.run_by_key(uow.conn, actor.scope, key) or run
        parents = [Link("dataset_version", dataset, "dataset"), *links]
        uow.link(actor.scope, ("eval_run", run.id), parents)
        uow.audit(actor, "evals.create", run.id, suite=suite.name, dataset=dataset)
    return run


def run(
    home: Home,
    actor: Actor,
    *,
    suite: Suite,
    key: str | None = None,
    target: Target | Callable[..., Any] | None = None,
    progress: Progress = _no_progress,
    cancelled: Callable[[], bool] = _never,
) -> EvalRun:
    """Run the suite here and now and return the run with its metrics.

    With a `key`, a run that was interrupted goes on where it stopped, and a finished one is returned as it is.
    `target` overrides the suite's target: an object with `generate`, or a function of a Sample; so does
    `{"kind": "callable", "callable": function}` in the suite. Raises what `execute` raises.
    """
    if target is None and callable(suite.target.get("callable")):
        target = suite.target["callable"]
        suite = replace(suite, target={k: v for k, v in suite.target.items() if k != "callable"})
    made = create(home, actor, suite=suite, key=key)
    if made.state is RunState.SUCCEEDED:
        return made
    return execute(
        home, actor, run_id=made.id, suite=suite, target=target, progress=progress, cancelled=cancelled
    )


def resume(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    retry_errors: bool = False,
    target: Target | Callable[..., Any] | None = None,
    progress: Progress = _no_progress,
    cancelled: Callable[[], bool] = _never,
) -> EvalRun:
    """Go on with a run that was interrupted, cancelled or failed; only the missing samples are asked for.

    `retry_errors` also asks again for those on which the target failed. A finished run is returned as it is.
    """
    with home.begin() as uow:
        uow.may(actor, "evals.write", run_id)
        found = get_run(uow, actor, run_id)
        if found.state is RunState.SUCCEEDED and not (retry_errors and found.errors):
            return found
        if retry_errors:
            store.forget_errors(uow.conn, actor.scope, run_id)
    return execute(home, actor, run_id=run_id, target=target, progress=progress, cancelled=cancelled)


def execute(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    suite: Suite | None = None,
    target: Target | Callable[..., Any] | None = None,
    progress: Progress = _no_progress,
    cancelled: Callable[[], bool] = _never,
) -> EvalRun:
    """Bring a run to its end; samples stored by an earlier attempt are not asked for again.

    Raises Busy when another process is at it, Unprocessable when too many samples failed, Cancelled, and what
    the target raises; the run then keeps what it has.
    """
    with home.read() as uow:
        found = get_run(uow, actor, run_id)
    folder = home.folder("evals")
    try:
        with exclusive(folder / f"{run_id}.lock"):
            return _execute(home, actor, found, suite, target, progress, cancelled)
    except Busy as error:
        if "another process holds" not in error.message.lower():
            raise
        raise Busy(f"Another process is running {run_id}.", hint="Wait for it to end.") from error


def _execute(
    home: Home,
    actor: Actor,
    found: EvalRun,
    given: Suite | None,
    target: Target | Callable[..., Any] | None,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> EvalRun:
    suite = parse_suite(found.spec)
    if given is not None and suite.target.get("api_key") == REDACTED:
        suite = replace(suite, target={**suite.target, "api_key": given.target.get("api_key")})
    scope, run_id = actor.scope, found.id
    samples = dataset_source.load(home, actor, suite, dataset_source.pin(home, actor, suite))
    with home.begin() as uow:
        store.update_run(
            uow.conn, scope, run_id, state="running", error="", total=len(samples), started_at=clock.now()
        )

    def check() -> None:
        if cancelled():
            raise Cancelled("The evaluation was cancelled; `evals resume` goes on with it.")

    try:
        recording = Recording(home, scope, run_id, samples, suite)
        context = TargetContext(
            home=home,
            actor=actor,
            workdir=home.folder("evals", run_id),
            concurrency=suite.concurrency,
            cancelled=cancelled,
        )
        check()
        if target is not None:
            recording.fill(_as_target(target), progress, check)
        else:
            with opened(suite.target, context) as chosen:
                recording.fill(chosen, progress, check)
    except (PenstockError, KeyboardInterrupt) as error:
        state = (
            RunState.FAILED if not isinstance(error, Cancelled | KeyboardInterrupt) else RunState.CANCELLED
        )
        _finish(home, actor, found, state, str(error) or "Interrupted.")
        raise
    _summarise(home, actor, found, suite, recording.scorers())
    return _finish(home, actor, found, RunState.SUCCEEDED, "")


def _summarise(home: Home, actor: Actor, found: EvalRun, suite: Suite, scorers: Sequence[Scorer]) -> None:
    with home.read() as uow:
        results = store.results(uow.conn, actor.scope, found.id)
    metrics = aggregate.summarise(scorers, results, seed=suite.seed)
    signed = signatures(scorers, results)
    with home.begin() as uow:
        store.replace_metrics(uow.conn, actor.scope, found.id, metrics)
        if signed:
            spec = {**found.spec, SIGNATURES: signed}
            store.update_run(uow.conn, actor.scope, found.id, spec=spec)


def _as_target(target: Target | Callable[..., Any]) -> Target:
    return target if isinstance(target, Target) else CallableTarget(target)


def _finish(home: Home, actor: Actor, found: EvalRun, state: RunState, error: str) -> EvalRun:
    with home.begin() as uow:
        store.update_run(
            uow.conn, actor.scope, found.id, state=str(state), error=error, finished_at=clock.now()
        )
        uow.publish(RunFinished(run_id=found.id, suite=found.suite, state=str(state)), actor.scope)
        return get_run(uow, actor, found.id)


def start(home: Home, actor: Actor, *, suite: Suite, key: str | None = None) -> EvalRun:
    """Make a run and queue the job that executes it in the background.

    Raises Invalid for a key given in the clear (a job cannot keep it) and what `create` raises.
    """
    if isinstance(suite.target.get("api_key"), str):
        raise Invalid(
            "A queued evaluation cannot keep a key.",
            hint="Leave api_key out for the own gateway, or use {env: NAME}.",
        )
    made = create(home, actor, suite=suite, key=key)
    if made.job_id is not None or made.state is not RunState.QUEUED:
        return made
    with home.begin() as uow:
        job = jobs.enqueue(uow, actor, JOB_KIND, {"run_id": made.id}, key=made.id)
        store.update_run(uow.conn, actor.scope, made.id, job_id=job.id)
        return get_run(uow, actor, made.id)


def get_run(uow: UnitOfWork, actor: Actor, run_id: str) -> EvalRun:
    """Return the run with its metrics; raises NotFound."""
    uow.may(actor, "evals.read", run_id)
    found = store.run_by_id(uow.conn, actor.scope, run_id)
    if found is None:
        raise NotFound(f"There is no evaluation {run_id!r}.", hint="See `penstock evals list`.")
    return found


def list_runs(
    uow: UnitOfWork, actor: Actor, *, suite: str | None = None, before: str | None = None, limit: int = 100
) -> list[EvalRun]:
    """Return runs, newest first; `before` is the id to go on from."""
    uow.may(actor, "evals.read")
    return store.list_runs(uow.conn, actor.scope, suite=suite, before=before, limit=limit)


def samples(
    uow: UnitOfWork, actor: Actor, run_id: str, *, after: int = -1, limit: int | None = None
) -> list[SampleResult]:
    """Return a run's finished samples in the dataset's order, from ordinals above `after`; raises NotFound."""
    get_run(uow, actor, run_id)
    return store.results(uow.conn, actor.scope, run_id, after=after, limit=limit)


def compare(uow: UnitOfWork, actor: Actor, baseline_id: str, candidate_id: str) -> Comparison:
    """Return the paired comparison of two finished runs.

    Only scorers that both runs used with the same options are compared. Raises NotFound, Conflict when a run
    has not finished, Invalid when they share no samples.
    """
    baseline, candidate = (get_run(uow, actor, run_id) for run_id in (baseline_id, candidate_id))
    for one in (baseline, candidate):
        if one.state is not RunState.SUCCEEDED:
            raise Conflict(f"The evaluation {one.id} is {one.state}: only finished runs can be compared.")
    first, second = (parse_suite(one.spec) for one in (baseline, candidate))
    shared = [scorer for scorer in second.scorers if scorer in first.scorers]
    sides = [(one.id, store.results(uow.conn, actor.scope, one.id)) for one in (baseline, candidate)]
    comparison = pairing.compare_results(sides[0], sides[1], build_scorers(shared), seed=second.seed)
    if comparison.shared == 0:
        raise Invalid(
            f"{baseline_id} and {candidate_id} have no samples in common.",
            hint="Run both on the same dataset version and split.",
        )
    return comparison


def gate(
    uow: UnitOfWork,
    actor: Actor,
    *,
    run_id: str,
    rules: Sequence[Mapping[str, Any]],
    baseline_id: str | None = None,
) -> GateDecision:
    """Decide whether a run passes `rules`, record the decision and return it with its reasons.

    A rule is `{metric, min|max}`, `{metric, not_worse_than: baseline, margin}` or
    `{metric, better_than: baseline, alpha}`, each with an optional `split`. Raises NotFound, Invalid for
    a rule that makes no sense, Conflict when the baseline has not finished.
    """
    uow.may(actor, "evals.write", run_id)
    if not rules:
        raise Invalid("A gate needs at least one rule.", hint="Write {metric: exact, min: 0.7}.")
    parsed = [gating.parse_rule(rule) for rule in rules]
    candidate = get_run(uow, actor, run_id)
    comparison = None
    if gating.needs_baseline(parsed):
        if baseline_id is None:
            raise Invalid("This gate compares with a baseline.", hint="Name the baseline run.")
        if candidate.state is RunState.SUCCEEDED:
            comparison = compare(uow, actor, baseline_id, run_id)
    checks = gating.evaluate(parsed, candidate, comparison)
    decision = GateDecision(
        id=ids.new_id("gate"),
        run_id=run_id,
        baseline_id=baseline_id,
        passed=all(check.passed for check in checks),
        checks=checks,
        rules=tuple(dict(rule) for rule in rules),
        actor=actor.name,
        created_at=clock.now(),
    )
    store.insert_gate(uow.conn, actor.scope, decision)
    uow.link(actor.scope, ("gate", decision.id), [Link("eval_run", run_id, "candidate")])
    if baseline_id is not None:
        uow.link(actor.scope, ("gate", decision.id), [Link("eval_run", baseline_id, "baseline")])
    uow.audit(actor, "evals.gate", run_id, gate=decision.id, passed=decision.passed)
    uow.publish(GateDecided(gate_id=decision.id, run_id=run_id, passed=decision.passed), actor.scope)
    return decision


def gates(
    uow: UnitOfWork, actor: Actor, *, run_id: str | None = None, before: str | None = None, limit: int = 100
) -> list[GateDecision]:
    """Return gate decisions, newest first."""
    uow.may(actor, "evals.read")
    return store.list_gates(uow.conn, actor.scope, run_id=run_id, before=before, limit=limit)


def count(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many runs the project has."""
    uow.may(actor, "evals.read")
    return store.count(uow.conn, actor.scope)


def count_gates(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many gate decisions the project has."""
    uow.may(actor, "evals.read")
    return store.count(uow.conn, actor.scope, of_gates=True)
