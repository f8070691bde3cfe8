"""The verbs of prompt optimisation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids, jobs
from penstock.core.deferred import deferred
from penstock.core.errors import Busy, Cancelled, Conflict, Invalid, NotFound, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.jobs.model import JobState
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.evals import dataset_source
from penstock.evals.bench import Judges
from penstock.evals.calls import store as calls
from penstock.evals.loop import run_loop
from penstock.evals.optimise import store
from penstock.evals.optimise.candidate_target import Endpoints
from penstock.evals.optimise.choosing import higher_is_better, models_of
from penstock.evals.optimise.desk import Desk
from penstock.evals.optimise.field import Field
from penstock.evals.optimise.model import Candidate, Optimisation, Row, SearchState
from penstock.evals.optimise.parts import divide
from penstock.evals.optimise.plan import Plan, parse_plan, plan_spec, with_keys
from penstock.evals.optimise.search import Search, Steps
from penstock.evals.ports import TargetContext
from penstock.evals.runner import Progress, build_scorers
from penstock.evals.suite import REDACTED
from penstock.evals.target_choice import OwnGateway
from penstock.prompts import service as prompts
from penstock.prompts.model import PromptVersion

if TYPE_CHECKING:
    from penstock.evals.optimise import figures
else:
    # It brings numpy, which only the figures need.
    figures = deferred("penstock.evals.optimise.figures")

JOB_KIND = "evals.optimise"
KIND = "prompt_optimisation"


def _no_progress(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


def create(home: Home, actor: Actor, *, plan: Plan, key: str | None = None) -> Optimisation:
    """Make a queued optimisation with its prompt and dataset pinned; with a `key` used before, return that one.

    Raises NotFound for an unknown prompt or dataset, Invalid for a metric that no scorer gives, a prompt without a
    model and too few rows.
    """
    with home.read() as uow:
        uow.may(actor, "evals.write", plan.prompt)
        had = store.by_key(uow.conn, actor.scope, key) if key else None
        if had is not None:
            return had
        version = prompts.get(uow, actor, name=plan.prompt, version=plan.version, label=plan.label)
    higher_is_better(build_scorers(plan.scorers), plan.metric)
    dataset = dataset_source.pin(home, actor, plan.suite())
    pinned = replace(
        plan, version=version.number, label=None, dataset=dataset.ref, models=models_of(plan, version)
    )
    divide(home, actor, pinned, dataset)
    made = Optimisation(
        id=ids.new_id("opt"),
        prompt=version.ref,
        dataset=dataset.ref,
        metric=plan.metric,
        spec=plan_spec(pinned),
        state=SearchState.QUEUED,
        key=key,
        created_at=clock.now(),
    )
    with home.begin() as uow:
        if not store.insert(uow.conn, actor.scope, made) and key:
            return store.by_key(uow.conn, actor.scope, key) or made
        parents = [
            Link("prompt_version", version.ref, "start"), Link("dataset_version", dataset.ref, "dataset")
        ]  # fmt: skip
        uow.link(actor.scope, (KIND, made.id), parents)
        uow.audit(actor, "evals.optimise", made.id, prompt=version.ref, dataset=dataset.ref)
    return made


def run(
    home: Home,
    actor: Actor,
    *,
    plan: Plan,
    key: str | None = None,
    progress: Progress = _no_progress,
    cancelled: Callable[[], bool] = _never,
) -> Optimisation:
    """Optimise here and now; with a `key`, one that was interrupted goes on, and a finished one is returned."""
    made = create(home, actor, plan=plan, key=key)
    if made.state is SearchState.SUCCEEDED:
        return made
    return execute(home, actor, id=made.id, given=plan, progress=progress, cancelled=cancelled)


def start(home: Home, actor: Actor, *, plan: Plan, key: str | None = None) -> Optimisation:
    """Make an optimisation and queue the job that carries it out; raises Invalid for a key given in the clear."""
    if REDACTED in str(plan_spec(plan)):
        raise Invalid(
            "A queued optimisation cannot keep a key.",
            hint="Leave api_key out for the own gateway, or use {env: NAME}.",
        )
    made = create(home, actor, plan=plan, key=key)
    if made.job_id is not None or made.state is not SearchState.QUEUED:
        return made
    return _enqueue(home, actor, made.id, made.id)


def _enqueue(home: Home, actor: Actor, id: str, key: str) -> Optimisation:
    with home.begin() as uow:
        job = jobs.enqueue(uow, actor, JOB_KIND, {"id": id}, key=key)
        store.change(uow.conn, actor.scope, id, job_id=job.id, state=str(SearchState.QUEUED), error="")
        return find(uow, actor, id)


def give_up(uow: UnitOfWork, actor: Actor, *, id: str, job_id: str, error: str) -> None:
    """Fail one whose job was given up; one that has ended, or that another job carries on, is left as it is."""
    found = find(uow, actor, id)
    if found.job_id == job_id and found.state in (SearchState.QUEUED, SearchState.RUNNING):
        ended = {"state": str(SearchState.FAILED), "error": error, "finished_at": clock.now()}
        store.change(uow.conn, actor.scope, id, **ended)


def resume(
    home: Home,
    actor: Actor,
    *,
    id: str,
    max_calls: int | None = None,
    max_cost_usd: float | None = None,
    background: bool = False,
    progress: Progress = _no_progress,
    cancelled: Callable[[], bool] = _never,
) -> Optimisation:
    """Go on with one that was stopped or failed, with a larger budget if given; what was answered is not paid again.

    A finished one is returned as it is, unless its cap ended it (`error` says so) and a larger budget is given.
    """
    with home.begin() as uow:
        uow.may(actor, "evals.write", id)
        found = find(uow, actor, id)
        cut = bool(found.error) and (max_calls is not None or max_cost_usd is not None)
        if found.state is SearchState.SUCCEEDED and not cut:
            return found
        plan = parse_plan(found.spec)
        plan = replace(
            plan,
            max_calls=max_calls or plan.max_calls,
            max_cost_usd=max_cost_usd or plan.max_cost_usd,
        )
        # A larger budget may allow what was refused.
        steps = [one for one in found.steps if one.endswith("=yes")]
        store.change(uow.conn, actor.scope, id, spec=plan_spec(plan), steps=steps)
    if background:
        if found.job_id is not None:
            with home.read() as uow:
                if jobs.get(uow, actor, found.job_id).state in (JobState.QUEUED, JobState.RUNNING):
                    return found
        return _enqueue(home, actor, id, ids.new_id("again"))
    return execute(home, actor, id=id, progress=progress, cancelled=cancelled)


def execute(
    home: Home,
    actor: Actor,
    *,
    id: str,
    given: Plan | None = None,
    progress: Progress = _no_progress,
    cancelled: Callable[[], bool] = _never,
) -> Optimisation:
    """Bring an optimisation to its end; answers stored by an earlier attempt are not asked for again.

    A cap that is reached on the way ends it with the best so far; `error` then says so. Raises Busy when another
    process is at it, CapReached when not even the prompt as it is was measured, Cancelled, and Unprocessable when the
    budget is too small or too many answers failed; what was answered is kept.
    """
    with home.read() as uow:
        found = find(uow, actor, id)
    try:
        with exclusive(home.folder("evals") / f"{id}.lock"):
            return _execute(home, actor, found, given, progress, cancelled)
    except Busy as error:
        if "another process holds" not in error.message.lower():
            raise
        raise Busy(f"Another process is at {id}.", hint="Wait for it to end.") from error


def _execute(
    home: Home,
    actor: Actor,
    found: Optimisation,
    given: Plan | None,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Optimisation:
    plan = parse_plan(found.spec)
    if given is not None:
        plan = with_keys(plan, given)
    work = _Work(home, actor, found, progress)
    work.note(state="running", error="", started_at=found.started_at or clock.now())
    gateway = OwnGateway(home, actor)
    try:
        work.carry_out(plan, gateway, cancelled)
    except (Cancelled, KeyboardInterrupt) as error:
        said = str(error) or "Interrupted."
        work.note(state=str(SearchState.CANCELLED), error=said, finished_at=clock.now())
        raise
    except Exception as error:
        said = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
        work.note(state=str(SearchState.FAILED), error=said, finished_at=clock.now())
        raise
    finally:
        gateway.close()
    with home.begin() as uow:
        calls.settle(uow.conn, actor.scope, found.id)
        store.change(uow.conn, actor.scope, found.id, state="succeeded", stage="", finished_at=clock.now())
        return find(uow, actor, found.id)


class _Work:
    """One attempt at an optimisation."""

    def __init__(self, home: Home, actor: Actor, found: Optimisation, progress: Progress) -> None:
        self._home, self._actor, self._found, self._progress = home, actor, found, progress
        self._desk: Desk | None = None

    def note(self, **values: Any) -> None:
        """Store columns of the record, and what was spent."""
        if self._desk is not None:
            values["spent"] = self._desk.spending()
        with self._home.begin() as uow:
            store.change(uow.conn, self._actor.scope, self._found.id, **values)

    def _keep(self, candidates: Sequence[Candidate]) -> None:
        with self._home.begin() as uow:
            store.put_candidates(uow.conn, self._actor.scope, self._found.id, candidates)

    def carry_out(self, plan: Plan, gateway: OwnGateway, cancelled: Callable[[], bool]) -> None:
        """Search, measure and report."""
        home, actor = self._home, self._actor
        suite = plan.suite()
        version = dataset_source.pin(home, actor, suite)
        with home.read() as uow:
            base = prompts.get(uow, actor, name=plan.prompt, version=plan.version).body
        context = TargetContext(
            home=home,
            actor=actor,
            workdir=home.folder("evals", self._found.id),
            concurrency=plan.concurrency,
            cancelled=cancelled,
            foreign=bool(plan.target.get("base_url")),
        )
        scorers = build_scorers(plan.scorers)
        higher = higher_is_better(scorers, plan.metric)
        judges = Judges(suite, context, gateway.complete)
        endpoints = Endpoints(plan, context, gateway)
        desk = Desk(context, (self._found.id, plan.prompt), plan, scorers, judges, endpoints)
        parts = divide(home, actor, plan, version)
        field = Field(desk, parts, base, plan.metric, higher=higher, keep=self._keep)
        search = Search(field, Steps(self._found.steps, self._step))

        async def work() -> None:
            desk.open()
            self._desk = desk
            try:
                finalists = await search.run()
                self._tell("held_out")
                measured = await search.measure(finalists)
            finally:
                await desk.close()
            unit, front, best = (
                figures.report(field, measured, higher=higher, seed=plan.seed)
                if measured
                else ("", [], search.leading().id)
            )
            self.note(cost_unit=unit, pareto=front, best=best, error=search.cut)

        run_loop(work)

    def _step(self, steps: Sequence[str], stage: str) -> None:
        self.note(steps=list(steps), stage=stage)
        self._tell(stage)

    def _tell(self, stage: str) -> None:
        spent = self._desk.spending() if self._desk is not None else None
        self._progress(
            {
                "stage": stage,
                "calls": spent.calls if spent else 0,
                "cost_usd": spent.cost_usd if spent else 0.0,
            }
        )


def find(uow: UnitOfWork, actor: Actor, id: str) -> Optimisation:
    """Return the optimisation; raises NotFound."""
    uow.may(actor, "evals.read", id)
    found = store.by_id(uow.conn, actor.scope, id)
    if found is None:
        raise NotFound(f"There is no optimisation {id!r}.", hint="See `penstock evals optimisations`.")
    return found


def list_optimisations(
    uow: UnitOfWork, actor: Actor, *, prompt: str | None = None, before: str | None = None, limit: int = 100
) -> list[Optimisation]:
    """Return optimisations, newest first; `before` is the id to go on from."""
    uow.may(actor, "evals.read")
    return store.page(uow.conn, actor.scope, prompt=prompt, before=before, limit=limit)


def candidates(uow: UnitOfWork, actor: Actor, id: str) -> list[Candidate]:
    """Return the candidates in the order they were made; raises NotFound."""
    find(uow, actor, id)
    return store.candidates_of(uow.conn, actor.scope, id)


def candidate(uow: UnitOfWork, actor: Actor, id: str, name: str) -> Candidate:
    """Return one candidate; raises NotFound."""
    found = next((one for one in candidates(uow, actor, id) if one.id == name), None)
    if found is None:
        raise NotFound(f"The optimisation {id} has no candidate {name!r}.")
    return found


def rows(uow: UnitOfWork, actor: Actor, id: str, name: str) -> list[Row]:
    """Return what a candidate answered, by sample id; raises NotFound."""
    found = candidate(uow, actor, id, name)
    return [row for _, row in store.rows_of(uow.conn, actor.scope, id, hash=found.hash)]


def stop(uow: UnitOfWork, actor: Actor, id: str) -> Optimisation:
    """Ask a queued or running one to stop; what was answered is kept. Raises NotFound, Conflict when it has ended."""
    uow.may(actor, "evals.write", id)
    found = find(uow, actor, id)
    if found.state not in (SearchState.QUEUED, SearchState.RUNNING):
        raise Conflict(f"The optimisation has ended already ({found.state}).")
    if found.job_id is None:
        raise Conflict("The optimisation runs in somebody's terminal.", hint="Stop it there with Ctrl-C.")
    jobs.cancel(uow, actor, found.job_id)
    if jobs.get(uow, actor, found.job_id).state is JobState.CANCELLED:
        store.change(uow.conn, actor.scope, id, state="cancelled", finished_at=clock.now())
    uow.audit(actor, "evals.stop_optimisation", id)
    return find(uow, actor, id)


def accept(
    uow: UnitOfWork, actor: Actor, id: str, *, name: str | None = None, note: str = ""
) -> PromptVersion:
    """Add a candidate (the best one unless named) as a version of its prompt, with its lineage; returns the version.

    No label moves. Raises NotFound, Conflict for an optimisation that is not finished or whose best is the original.
    """
    uow.may(actor, "prompts.write", id)
    found = find(uow, actor, id)
    if found.state is not SearchState.SUCCEEDED:
        raise Conflict(f"The optimisation is {found.state}: its candidates are not measured yet.")
    chosen = candidate(uow, actor, id, name or found.best or "")
    if chosen.draft.instruction is None and not chosen.draft.demos and name is None:
        raise Conflict(
            "Nothing better than the original was found.", hint="Name a candidate to accept it anyway."
        )
    prompt = found.prompt.partition("@")[0]
    version = prompts.add_version(
        uow, actor, name=prompt, body=chosen.body, note=note or _told(found, chosen)
    )
    parents = [
        Link(KIND, id, "optimiser"),
        Link("prompt_version", found.prompt, "start"),
        Link("dataset_version", found.dataset, "optimised_on"),
    ]
    if version.ref != found.prompt:
        uow.link(actor.scope, ("prompt_version", version.ref), parents)
    accepted: Mapping[str, Any] = {
        "candidate": chosen.id, "prompt_version": version.ref, "by": actor.name, "at": clock.iso(clock.now())
    }  # fmt: skip
    store.change(uow.conn, actor.scope, id, accepted=accepted)
    uow.audit(actor, "evals.accept_candidate", id, candidate=chosen.id, version=version.ref)
    return version


def _told(found: Optimisation, chosen: Candidate) -> str:
    said = f"Candidate {chosen.id} of {found.id} ({chosen.method})"
    held = chosen.held_out
    if held is None:
        return said
    return f"{said}: {found.metric} {held.value:.3f} on {held.n} held-out rows"
