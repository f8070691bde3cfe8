"""The verbs of evaluations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids, jobs
from penstock.core.deferred import deferred
from penstock.core.errors import Busy, Cancelled, Invalid, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.evals import compare_service, dataset_source, store
from penstock.evals.bench import Judges
from penstock.evals.callable_target import as_target
from penstock.evals.calls import store as calls
from penstock.evals.calls.model import Spent
from penstock.evals.engine import Engine
from penstock.evals.epochs import measuring
from penstock.evals.events import RunFinished
from penstock.evals.gating import parse_rule as parse_rule
from penstock.evals.live import LiveScorers
from penstock.evals.live_judges import LiveJudges, check_live, parted
from penstock.evals.live_judges import judge_models as judge_models
from penstock.evals.loop import run_loop
from penstock.evals.model import Attempt, EvalRun, RunState, SampleResult
from penstock.evals.ports import AsyncTarget, Scorer, Target, TargetContext
from penstock.evals.runner import Progress, Recording, build_scorers, signatures
from penstock.evals.suite import SIGNATURES, Suite, holds_a_key, parse_suite, to_spec, with_keys_of
from penstock.evals.target_choice import OwnGateway, named, opened, pin_model

if TYPE_CHECKING:
    from penstock.evals import aggregate
else:
    # It brings numpy, which only a finished run needs.
    aggregate = deferred("penstock.evals.aggregate")

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
        model=named(target),
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
    target: Target | AsyncTarget | Callable[..., Any] | None = None,
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
    max_cost_usd: float | None = None,
    target: Target | AsyncTarget | Callable[..., Any] | None = None,
    progress: Progress = _no_progress,
    cancelled: Callable[[], bool] = _never,
) -> EvalRun:
    """Go on with a run that was interrupted, cancelled or failed; only the missing samples are asked for.

    `retry_errors` also asks again for those on which the target or a judge failed; answers that are there are not
    paid for again. `max_cost_usd` takes the place of the suite's cap, for all the run's calls together. A finished
    run is returned as it is.
    """
    with home.begin() as uow:
        uow.may(actor, "evals.write", run_id)
        found = get_run(uow, actor, run_id)
        failed = found.errors or found.progress.get("judge_errors")
        if found.state is RunState.SUCCEEDED and not (retry_errors and failed):
            return found
        if retry_errors:
            unjudged = store.unjudged_ids(uow.conn, actor.scope, run_id)
            calls.void(uow.conn, actor.scope, run_id, unjudged)
            store.forget_errors(uow.conn, actor.scope, run_id)
        if max_cost_usd is not None:
            capped = replace(parse_suite(found.spec), max_cost_usd=max_cost_usd)
            store.update_run(uow.conn, actor.scope, run_id, spec=to_spec(capped))
    return execute(home, actor, run_id=run_id, target=target, progress=progress, cancelled=cancelled)


def execute(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    suite: Suite | None = None,
    target: Target | AsyncTarget | Callable[..., Any] | None = None,
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
            return _execute(home, actor, found, suite, target, (progress, cancelled))
    except Busy as error:
        if "another process holds" not in error.message.lower():
            raise
        raise Busy(f"Another process is running {run_id}.", hint="Wait for it to end.") from error


def _execute(
    home: Home,
    actor: Actor,
    found: EvalRun,
    given: Suite | None,
    target: Target | AsyncTarget | Callable[..., Any] | None,
    hooks: tuple[Progress, Callable[[], bool]],
) -> EvalRun:
    suite = parse_suite(found.spec)
    if given is not None:
        suite = with_keys_of(suite, given)
    scope, run_id = actor.scope, found.id
    gateway, (progress, cancelled) = OwnGateway(home, actor), hooks
    try:
        samples = dataset_source.load(home, actor, suite, dataset_source.pin(home, actor, suite))
        begun = {"state": "running", "error": "", "total": len(samples), "started_at": clock.now()}
        with home.begin() as uow:
            store.update_run(uow.conn, scope, run_id, **begun)
        recording = Recording(home, scope, run_id, samples, suite)
        context = TargetContext(
            home=home,
            actor=actor,
            workdir=home.folder("evals", run_id),
            concurrency=suite.concurrency,
            cancelled=cancelled,
        )
        _stop_when(cancelled)
        chosen = as_target(target) if target is not None else opened(suite.target, context, gateway)
        judges = Judges(suite, context, gateway.complete)
        engine = Engine(recording, suite, context, judges, progress, lambda: _stop_when(cancelled))
        run_loop(lambda: engine.fill(chosen))
        _summarise(home, actor, found, suite, recording.scorers)
    except (Cancelled, KeyboardInterrupt) as error:
        _finish(home, actor, found, RunState.CANCELLED, str(error) or "Interrupted.")
        raise
    except Exception as error:
        why = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
        _finish(home, actor, found, RunState.FAILED, why)
        raise
    finally:
        gateway.close()
    return _finish(home, actor, found, RunState.SUCCEEDED, "")


def _stop_when(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("The evaluation was cancelled; `evals resume` goes on with it.")


def _summarise(home: Home, actor: Actor, found: EvalRun, suite: Suite, scorers: Sequence[Scorer]) -> None:
    with home.read() as uow:
        results = store.results(uow.conn, actor.scope, found.id)
    metrics = aggregate.summarise(measuring(scorers, suite), results, seed=suite.seed)
    signed = signatures(scorers, results)
    with home.begin() as uow:
        store.replace_metrics(uow.conn, actor.scope, found.id, metrics)
        if signed:
            spec = {**found.spec, SIGNATURES: signed}
            store.update_run(uow.conn, actor.scope, found.id, spec=spec)
        if not any(result.score_error or result.output.error for result in results):
            calls.settle(uow.conn, actor.scope, found.id)


def _finish(home: Home, actor: Actor, found: EvalRun, state: RunState, error: str) -> EvalRun:
    with home.begin() as uow:
        _end(uow, actor, found, state, error)
        return get_run(uow, actor, found.id)


def _end(uow: UnitOfWork, actor: Actor, found: EvalRun, state: RunState, error: str) -> None:
    store.update_run(uow.conn, actor.scope, found.id, state=str(state), error=error, finished_at=clock.now())
    uow.publish(RunFinished(run_id=found.id, suite=found.suite, state=str(state)), actor.scope)


def give_up(uow: UnitOfWork, actor: Actor, *, run_id: str, job_id: str, error: str) -> None:
    """Fail a run whose job was given up; one that has ended, or that another job executes, is left as it is."""
    found = get_run(uow, actor, run_id)
    if found.job_id == job_id and found.state in (RunState.QUEUED, RunState.RUNNING):
        _end(uow, actor, found, RunState.FAILED, error)


def start(home: Home, actor: Actor, *, suite: Suite, key: str | None = None) -> EvalRun:
    """Make a run and queue the job that executes it in the background.

    Raises Invalid for a key given in the clear (a job cannot keep it), for a target that names a folder (of a server
    that belongs to others too), and what `create` raises.
    """
    if {"folder", "adapter"} & suite.target.keys():
        raise Invalid(
            "A queued evaluation reads no folder of the server.",
            hint="Register the model and name it (model: NAME@VERSION), or run it with `penstock evals run`.",
        )
    if suite.target["kind"] == "function":
        raise Invalid(
            "A queued evaluation runs no code of one's own.",
            hint="Run it with `penstock evals run`, or serve the function and use the http target.",
        )
    if holds_a_key(suite):
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


get_run = compare_service.find_run


def list_runs(
    uow: UnitOfWork, actor: Actor, *, suite: str | None = None, before: str | None = None, limit: int = 100
) -> list[EvalRun]:
    """Return runs, newest first; `before` is the id to go on from."""
    uow.may(actor, "evals.read")
    return store.list_runs(uow.conn, actor.scope, suite=suite, before=before, limit=limit)


def newest(uow: UnitOfWork, actor: Actor, *, suite: str, model: str) -> EvalRun | None:
    """Return the newest finished run of a suite whose target was exactly that version or route, or None."""
    uow.may(actor, "evals.read", suite)
    return store.newest_run(uow.conn, actor.scope, suite=suite, model=model)


def samples(
    uow: UnitOfWork, actor: Actor, run_id: str, *, after: int = -1, limit: int | None = None
) -> list[SampleResult]:
    """Return a run's finished samples in the dataset's order, from ordinals above `after`; raises NotFound."""
    get_run(uow, actor, run_id)
    return store.results(uow.conn, actor.scope, run_id, after=after, limit=limit)


def attempts(uow: UnitOfWork, actor: Actor, run_id: str, sample_id: str) -> list[Attempt]:
    """Return each epoch's answer and scores of a sample, none when the run has one epoch; raises NotFound."""
    get_run(uow, actor, run_id)
    return store.list_attempts(uow.conn, actor.scope, run_id, sample_id=sample_id)


live_scorers = LiveScorers
live_judges = LiveJudges
parted_scorers = parted
check_live_judges = check_live
compare = compare_service.compare
compare_many = compare_service.compare_many
compared_rows = compare_service.rows
clusters_by = compare_service.clusters_by
decide = compare_service.decide
gates = compare_service.gates
find_gate = compare_service.find_gate


def spent(uow: UnitOfWork, actor: Actor, id: str) -> Spent:
    """Return what the calls of a run, or of whatever else has an account of that name, came to."""
    uow.may(actor, "evals.read", id)
    return calls.spent(uow.conn, actor.scope, id)


def count(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many runs the project has."""
    uow.may(actor, "evals.read")
    return store.count(uow.conn, actor.scope)


def count_gates(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many gate decisions the project has."""
    uow.may(actor, "evals.read")
    return store.count(uow.conn, actor.scope, of_gates=True)
