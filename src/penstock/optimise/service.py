"""The verbs of optimisation: the only door into this slice."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from penstock.core import clock, ids, jobs
from penstock.core.errors import Cancelled, Conflict, Invalid, NotFound, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.evals.suite import Suite, to_spec
from penstock.evals.suites import service as suites
from penstock.optimise import ending, judging, methods, pinning, store, taking
from penstock.optimise.making import Progress, Workshop, make
from penstock.optimise.model import (
    ENDED,
    PARENT,
    Choice,
    Figures,
    Optimisation,
    OptimiseState,
    Quality,
    Step,
    Trial,
    Variant,
    choose,
)
from penstock.registry import service as registry
from penstock.registry.model import ModelVersion
from penstock.training import service as training
from penstock.training.model import NoRoom

JOB_KIND = "optimise.run"
LINK_KIND = ending.LINK_KIND
MOST_VARIANTS = 32


def _silent(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is wanted: a version, the variants to make of it, and how they are judged."""

    version: str
    """`name@3`, `name@production` …"""
    to: Sequence[Step]
    suite: Suite | None = None
    choose: Choice = field(default_factory=Choice)
    trial: Trial = field(default_factory=Trial)


def stored_suite(uow: UnitOfWork, actor: Actor, name: str) -> Suite:
    """Return the suite stored under that name; raises NotFound."""
    return suites.load(uow, actor, name)


def _open(uow: UnitOfWork, actor: Actor, request: Request, *, as_job: bool) -> Optimisation:
    uow.may(actor, "models.write", request.version)
    if request.trial.priority > 0:
        uow.may(actor, "models.priority.admin", request.version)
    if not 1 <= len(request.to) <= MOST_VARIANTS:
        raise Invalid(f"Between one and {MOST_VARIANTS} variants can be made at once.")
    parent = registry.get(uow, actor, ref=request.version)
    if parent.kind not in methods.RUNNERS:
        raise Invalid(
            f"{parent.ref} is of kind {parent.kind}; only Hugging Face folders and adapters can be optimised.",
            hint="Start from what it was made of.",
        )
    steps = pinning.pinned(uow, actor, request.to, request.suite)
    run_id = ids.new_id("opt")
    recorded = None
    if request.suite is not None:
        recorded = to_spec(judging.suite_for(request.suite, parent.ref, request.trial))
        recorded["dataset"] = datasets.resolve(uow, actor, request.suite.dataset).ref
    job = _queued(uow, actor, run_id, request.trial) if as_job else None
    made = Optimisation(
        id=run_id,
        parent=parent.ref,
        suite=recorded,
        choose=request.choose,
        trial=request.trial,
        state=OptimiseState.QUEUED,
        job_id=job.id if job else None,
        baseline=_baseline(parent),
        variants=tuple(
            Variant(
                position=place,
                method=step.method,
                options=step.options,
                runner=methods.method(step.method).runner,
            )
            for place, step in enumerate(steps, 1)
        ),
        chosen=None,
        reason="",
        error=None,
        author=actor.name,
        created_at=clock.now(),
    )
    store.insert(uow.conn, actor.scope, made)
    uow.audit(actor, "optimise.start", made.id, parent=made.parent, methods=[s.method for s in steps])
    return made


def _baseline(parent: ModelVersion) -> Variant:
    runner = methods.RUNNERS[parent.kind]
    return Variant(position=0, method=PARENT, options={}, version=parent.ref, runner=runner)


def _queued(uow: UnitOfWork, actor: Actor, run_id: str, trial: Trial) -> jobs.Job:
    return jobs.enqueue(uow, actor, JOB_KIND, {"id": run_id}, priority=trial.priority)


def start(home: Home, actor: Actor, request: Request) -> Optimisation:
    """Queue an optimisation for the background process; returns it at once.

    Raises NotFound for an unknown version, suite dataset or dataset, Invalid for what cannot work.
    """
    with home.begin() as uow:
        return _open(uow, actor, request, as_job=True)


def execute(
    home: Home,
    actor: Actor,
    request: Request,
    *,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
) -> Optimisation:
    """Make and judge the variants here and now; returns the finished optimisation. Raises what `perform` raises."""
    with home.begin() as uow:
        made = _open(uow, actor, request, as_job=False)
    return carry_out(home, actor, run_id=made.id, progress=progress, cancelled=cancelled)


def carry_out(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
) -> Optimisation:
    """Do the work of an optimisation in the foreground: waits for room on the machine. Raises like `perform`."""
    work = partial(perform, home, actor, run_id=run_id, progress=progress, cancelled=cancelled)
    return training.once_there_is_room(work, progress)


def perform(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
) -> Optimisation:
    """Do the work of an optimisation that was opened; one that was interrupted goes on with what is missing.

    A variant that cannot be made or measured fails by itself, with its reason. Raises what keeps the parent from
    being measured, Cancelled, Busy when another process is at it, and NoRoom when the machine has no room for it or,
    before a variant, others need it more: then it waits, to be performed again.
    """
    with exclusive(taking.lock_in(home.folder("optimise"), run_id)):
        with home.read() as uow:
            found = get(uow, actor, run_id=run_id)
            if found.state in ENDED:
                return found
            parent = registry.get(uow, actor, ref=found.parent)
        place = taking.place_of(home, actor, found)
        shop = Workshop(
            home=home,
            actor=actor,
            parent=parent,
            work=home.folder("work", "optimise", run_id),
            trial=found.trial,
            progress=progress,
            cancelled=cancelled,
            place=place,
        )
        try:
            if cancelled():
                raise Cancelled("The optimisation was cancelled.")
            taking.require(place)
            with place.kept():
                _begin(shop, found)
                _work(shop, found)
        except NoRoom as full:
            place.wait()
            _waits(shop, found, full.message)
            raise
        except BaseException as error:
            place.leave()
            _broken(shop, found, error)
            raise
        place.leave()
        shutil.rmtree(shop.work, ignore_errors=True)
    with home.read() as uow:
        return get(uow, actor, run_id=run_id)


def _begin(shop: Workshop, found: Optimisation) -> None:
    began = {"state": OptimiseState.RUNNING, "started_at": found.started_at or clock.now(), "reason": ""}
    with shop.home.begin() as uow:
        store.change(uow.conn, shop.actor.scope, found.id, **began)


def _waits(shop: Workshop, found: Optimisation, reason: str) -> None:
    with shop.home.begin() as uow:
        values = {"state": OptimiseState.QUEUED, "reason": reason}
        store.change(uow.conn, shop.actor.scope, found.id, **values)


def _broken(shop: Workshop, found: Optimisation, error: BaseException) -> None:
    """Store what became of an optimisation that did not get to its end."""
    if isinstance(error, Cancelled | KeyboardInterrupt):
        # A job that is interrupted is taken up again; a command is not.
        if isinstance(error, Cancelled) or found.job_id is None:
            _end(shop, found, OptimiseState.CANCELLED, error="Cancelled.")
            shutil.rmtree(shop.work, ignore_errors=True)
    elif isinstance(error, Exception):
        _end(shop, found, OptimiseState.FAILED, error=_said(error))


def _said(error: Exception) -> str:
    message = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
    # PostgreSQL keeps no NUL; a log's tail may hold one.
    return message.replace("\0", "")


def _work(shop: Workshop, found: Optimisation) -> None:
    baseline = _judged(shop, found, found.baseline, None)
    done: list[Variant] = []
    for variant in found.variants:
        if shop.cancelled():
            raise Cancelled("The optimisation was cancelled.")
        if variant.state not in ENDED:
            taking.require(shop.place)
            variant = _tried(shop, found, variant, baseline.quality)
        done.append(variant)
    chosen, reason = choose(baseline, tuple(done), found.choose)
    failed = all(variant.state is OptimiseState.FAILED for variant in done)
    state = OptimiseState.FAILED if failed else OptimiseState.SUCCEEDED
    error = "No variant could be made; each says why." if failed else None
    _end(shop, found, state, chosen=None if failed else chosen, reason=reason, error=error)


def _tried(shop: Workshop, found: Optimisation, variant: Variant, parent: Quality | None) -> Variant:
    """Return the variant made, measured and judged, or failed with its reason."""
    try:
        if variant.version is None:
            shop.progress({"stage": "make", "method": variant.method, "position": variant.position})
            variant = replace(variant, state=OptimiseState.RUNNING)
            _keep(shop, found, variant)
            variant = replace(variant, version=make(shop, variant).ref)
            _keep(shop, found, variant)
        return _judged(shop, found, variant, parent)
    except Cancelled:
        raise
    except PenstockError as error:
        with shop.home.read() as uow:
            stored = get(uow, shop.actor, run_id=found.id).variants[variant.position - 1]
        failed = replace(stored, state=OptimiseState.FAILED, error=_said(error))
        _keep(shop, found, failed)
        return failed


def _judged(shop: Workshop, found: Optimisation, variant: Variant, parent: Quality | None) -> Variant:
    """Return the variant with its figures and its quality; what is known already is not measured again.

    Meanwhile nothing else is judged on this machine: that would disturb the figures, and what the recipe's suite
    would be asked of the variant may be answered here.
    """
    if variant.state is OptimiseState.SUCCEEDED:
        return variant
    folder = (
        shop.source()
        if variant.position == 0
        else registry.materialize(shop.home, shop.actor, ref=str(variant.version))
    )
    with training.quiet(shop.home, progress=shop.progress, cancelled=shop.cancelled):
        if variant.figures is None:
            variant = _measured(shop, found, variant, folder)
        if variant.quality is None and found.suite is not None:
            variant = replace(variant, quality=_quality(shop, found, variant, parent))
    variant = replace(variant, state=OptimiseState.SUCCEEDED)
    _keep(shop, found, variant)
    if variant.position:
        _record(shop, variant)
    return variant


def _measured(shop: Workshop, found: Optimisation, variant: Variant, folder: Path) -> Variant:
    shop.progress({"stage": "measure", "version": variant.version, "position": variant.position})
    figures = judging.measure(shop, variant, folder, found.trial)
    variant = replace(variant, state=OptimiseState.RUNNING, figures=figures)
    _keep(shop, found, variant)
    return variant


def _quality(shop: Workshop, found: Optimisation, variant: Variant, parent: Quality | None) -> Quality:
    assert found.suite is not None
    key = f"{found.id}:{variant.position}"
    run = judging.evaluate(shop, found.suite, str(variant.version), found.trial, key=key)
    if parent is None:
        return judging.quality_of(run, found.choose.metric)
    return judging.compared(shop, run, parent, found.choose)


def _keep(shop: Workshop, found: Optimisation, variant: Variant) -> None:
    with shop.home.begin() as uow:
        store.put_variant(uow.conn, shop.actor.scope, found.id, variant)


def _record(shop: Workshop, variant: Variant) -> None:
    """Write what was measured on the variant's card."""
    assert variant.figures is not None
    figures: Figures = variant.figures
    names = ("tokens_per_s", "first_token_s", "load_s", "memory_bytes", "size_bytes")
    metrics: dict[str, Any] = {name: getattr(figures, name) for name in names}
    if variant.quality is not None:
        quality = variant.quality
        metrics[quality.metric] = {
            "value": quality.value,
            "low": quality.low,
            "high": quality.high,
            "n": quality.n,
        }
    with shop.home.begin() as uow:
        registry.record_metrics(uow, shop.actor, ref=str(variant.version), metrics=metrics)


def _end(shop: Workshop, found: Optimisation, state: OptimiseState, **values: Any) -> None:
    with shop.home.begin() as uow:
        ending.end(uow, shop.actor, found, state, **values)


give_up = ending.give_up


def get(uow: UnitOfWork, actor: Actor, *, run_id: str) -> Optimisation:
    """Return an optimisation with its variants; raises NotFound."""
    uow.may(actor, "models.read", run_id)
    found = store.by_id(uow.conn, actor.scope, run_id)
    if found is None:
        raise NotFound(f"There is no optimisation {run_id!r} in the project {actor.scope.project!r}.")
    return found


def list_optimisations(
    uow: UnitOfWork, actor: Actor, *, version: str | None = None, before: str | None = None, limit: int = 100
) -> list[Optimisation]:
    """Return optimisations, newest first, of one parent version or of all; raises NotFound for the version."""
    uow.may(actor, "models.read")
    parent: ModelVersion | None = registry.get(uow, actor, ref=version) if version else None
    ref = parent.ref if parent else None
    return store.page(uow.conn, actor.scope, parent=ref, before=before, limit=limit)


def cancel(uow: UnitOfWork, actor: Actor, *, run_id: str) -> Optimisation:
    """Ask an optimisation to stop; raises NotFound, or Conflict when it has ended or a command is at work on it."""
    uow.may(actor, "models.write", run_id)
    found = get(uow, actor, run_id=run_id)
    if found.state in ENDED:
        raise Conflict(f"The optimisation has ended already ({found.state}).")
    if found.job_id is None and not taking.is_abandoned(uow.home.path, run_id):
        raise Conflict(
            "The optimisation belongs to the command that started it.", hint="Stop that command (Ctrl-C)."
        )
    job = jobs.cancel(uow, actor, found.job_id) if found.job_id else None
    if job is None or job.state is jobs.JobState.CANCELLED:
        training.drop_claim(uow, actor, run_id)
        values = {"state": OptimiseState.CANCELLED, "error": "Cancelled.", "ended_at": clock.now()}
        store.change(uow.conn, actor.scope, run_id, **values)
    uow.audit(actor, "optimise.cancel", run_id)
    return get(uow, actor, run_id=run_id)
