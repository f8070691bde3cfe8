"""The verbs of hyper-parameter search."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from penstock.core import clock, ids, jobs, plugins
from penstock.core.errors import Busy, Cancelled, Conflict, NotFound
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.evals.suites import service as suites
from penstock.training import bases
from penstock.training import recipe as recipes
from penstock.training import service as training
from penstock.training.model import UNDER_WAY
from penstock.training.search import store
from penstock.training.search.model import FINISHED, MAX_PARALLEL, Plan, Search, SearchState, parse_plan
from penstock.training.search.trials import Hooks, Trials

JOB_KIND = "training.search"
_LOCK = "search.lock"

Progress = Callable[[dict[str, Any]], None]


def _silent(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


def _checked(home: Home, actor: Actor, values: Mapping[str, Any]) -> Plan:
    """Return the plan with its recipe whole; raises Invalid for a space that the recipe does not have."""
    plan = parse_plan(values)
    recipe = recipes.parse(plan.recipe)
    for name, parameter in plan.space.items():
        sample = parameter.choices[0] if parameter.choices else parameter.low
        if parameter.whole and sample is not None:
            sample = int(sample)
        recipes.parse(recipes.merge(recipe.to_dict(), {name: sample}))
    if plan.suite:
        with home.read() as uow:
            suites.load(uow, actor, plan.suite)
    return parse_plan({**plan.to_dict(), "recipe": recipe.to_dict()})


def _open(home: Home, actor: Actor, plan: Plan, *, as_job: bool) -> Search:
    search_id = ids.new_id("hps")
    # A sampler or pruner that cannot do this is refused before anything is stored.
    plugins.load("searchers", plan.searcher)(plan, home.folder("training", "searches", search_id))
    with home.begin() as uow:
        uow.may(actor, "training.write", search_id)
        bases.may_start(uow, actor, str(plan.recipe["base"]))
        job = jobs.enqueue(uow, actor, JOB_KIND, {"search_id": search_id}) if as_job else None
        search = Search(
            id=search_id,
            plan=plan,
            state=SearchState.QUEUED,
            job_id=job.id if job else None,
            error=None,
            pareto=[],
            importance={},
            author=actor.name,
            created_at=clock.now(),
            started_at=None,
            ended_at=None,
        )
        store.insert(uow.conn, actor.scope, search)
        uow.audit(actor, "training.search", search_id, plan=plan.to_dict())
    return search


def start(home: Home, actor: Actor, values: Mapping[str, Any]) -> Search:
    """Queue a search for the background process; raises Invalid, NotFound, MissingExtra."""
    return _open(home, actor, _checked(home, actor, values), as_job=True)


def execute(
    home: Home,
    actor: Actor,
    values: Mapping[str, Any],
    *,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
) -> Search:
    """Search here and now; returns the search when it has ended."""
    made = _open(home, actor, _checked(home, actor, values), as_job=False)
    return perform(home, actor, search_id=made.id, progress=progress, cancelled=cancelled)


def perform(
    home: Home,
    actor: Actor,
    *,
    search_id: str,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
    stopping: Callable[[], bool] = _never,
) -> Search:
    """Carry on with a search until its trials are done or it is stopped; trials that were cut off go on.

    Raises Cancelled when `stopping()` turns true (the search then waits to be performed again), Busy when another
    process is at it, and the last trial's error when every one of the first trials failed.
    """
    folder = home.folder("training", "searches", search_id)
    with exclusive(folder / _LOCK):
        with home.begin() as uow:
            search = get(uow, actor, search_id=search_id)
            if search.state in FINISHED:
                return search
            began = search.started_at or clock.now()
            store.change(uow.conn, actor.scope, search_id, state=SearchState.RUNNING, started_at=began)
        hooks = Hooks(progress=progress, cancelled=cancelled, stopping=stopping)
        try:
            search = _based(home, actor, search, hooks)
            work = Trials(home, actor, search, folder, hooks)
            stopped = work.run()
        except Cancelled:
            if cancelled() or not stopping():
                _end(home, actor, search_id, SearchState.STOPPED)
            else:
                _wait(home, actor, search_id)
            raise
        except Exception as error:
            _end(home, actor, search_id, SearchState.FAILED, error=str(error) or type(error).__name__)
            raise
        if stopping() and not cancelled() and not work.stop_wanted():
            _wait(home, actor, search_id)
            raise Cancelled("The search was interrupted; it goes on from its journal.")
        _end(home, actor, search_id, SearchState.STOPPED if stopped else SearchState.SUCCEEDED)
    with home.read() as uow:
        return get(uow, actor, search_id=search_id)


def _based(home: Home, actor: Actor, search: Search, hooks: Hooks) -> Search:
    """Return the search on a registered base: one from elsewhere is imported once, for all trials."""
    base = str(search.plan.recipe["base"])
    if not bases.is_elsewhere(base):
        return search
    hooks.progress({"stage": "import", "base": base})
    watch = bases.Watch(progress=hooks.progress, cancelled=lambda: hooks.cancelled() or hooks.stopping())
    recipe = {**search.plan.recipe, "base": bases.settled(home, actor, base, watch=watch)}
    plan = parse_plan({**search.plan.to_dict(), "recipe": recipe})
    with home.begin() as uow:
        store.change(uow.conn, actor.scope, search.id, plan=plan.to_dict())
    return replace(search, plan=plan)


def _wait(home: Home, actor: Actor, search_id: str) -> None:
    with home.begin() as uow:
        store.change(uow.conn, actor.scope, search_id, state=SearchState.QUEUED)


def _end(home: Home, actor: Actor, search_id: str, state: SearchState, error: str | None = None) -> None:
    with home.begin() as uow:
        _ended(uow, actor, search_id, state, error)


def _ended(uow: UnitOfWork, actor: Actor, search_id: str, state: SearchState, error: str | None) -> None:
    ended = {"state": state, "error": error, "ended_at": clock.now(), "wish": None}
    store.change(uow.conn, actor.scope, search_id, **ended)
    uow.audit(actor, "training.search_end", search_id, state=str(state))


def give_up(uow: UnitOfWork, actor: Actor, *, search_id: str, job_id: str, error: str) -> None:
    """Fail a search whose job was given up, and its trials' runs; `resume` goes on with them.

    One that has ended, or that another job carries on, is left as it is.
    """
    found = store.by_id(uow.conn, actor.scope, search_id)
    if found is None or found.job_id != job_id or found.state in FINISHED:
        return
    for state in UNDER_WAY:
        runs = training.list_runs(uow, actor, state=state, search=search_id, limit=MAX_PARALLEL)
        for run in runs:
            training.give_up(uow, actor, run_id=run.id, job_id=run.job_id, error=error)
    _ended(uow, actor, search_id, SearchState.FAILED, error)


def get(uow: UnitOfWork, actor: Actor, *, search_id: str) -> Search:
    """Return a search with its trials; raises NotFound."""
    uow.may(actor, "training.read", search_id)
    found = store.by_id(uow.conn, actor.scope, search_id)
    if found is None:
        raise NotFound(f"There is no search {search_id!r} in the project {actor.scope.project!r}.")
    return found


def list_searches(
    uow: UnitOfWork, actor: Actor, *, before: str | None = None, limit: int = 100
) -> list[Search]:
    """Return searches without their trials, newest first, with ids below `before`."""
    uow.may(actor, "training.read")
    return store.page(uow.conn, actor.scope, before=before, limit=limit)


def _abandoned(uow: UnitOfWork, found: Search) -> bool:
    """Whether the command that carried it out in the foreground is gone, so that nobody hears a wish."""
    folder = uow.home.path / "training" / "searches" / found.id
    if found.job_id is not None or found.state is not SearchState.RUNNING or not folder.is_dir():
        return False
    try:
        with exclusive(folder / _LOCK):
            return True
    except Busy:
        return False


def stop(uow: UnitOfWork, actor: Actor, *, search_id: str) -> Search:
    """Ask a search to stop; `resume` goes on with the trials that it cuts off. Raises NotFound, Conflict."""
    uow.may(actor, "training.write", search_id)
    found = get(uow, actor, search_id=search_id)
    if found.state in FINISHED:
        raise Conflict(f"The search has ended already ({found.state}).")
    if found.state is SearchState.QUEUED or _abandoned(uow, found):
        if found.job_id is not None:
            jobs.cancel(uow, actor, found.job_id)
        ended = {"state": SearchState.STOPPED, "ended_at": clock.now()}
        store.change(uow.conn, actor.scope, search_id, **ended)
    else:
        store.change(uow.conn, actor.scope, search_id, wish="stop")
    uow.audit(actor, "training.search_stop", search_id)
    return get(uow, actor, search_id=search_id)


def resume(
    uow: UnitOfWork, actor: Actor, *, search_id: str, trials: int | None = None, as_job: bool = True
) -> Search:
    """Queue an ended search again, with more `trials` in all if given, or one whose command was killed.

    Raises NotFound, Conflict, Invalid.
    """
    uow.may(actor, "training.write", search_id)
    found = get(uow, actor, search_id=search_id)
    if found.state not in FINISHED and not _abandoned(uow, found):
        raise Conflict(f"The search is {found.state}; only an ended one can go on.")
    values = found.plan.to_dict() | ({"trials": trials} if trials else {})
    job = jobs.enqueue(uow, actor, JOB_KIND, {"search_id": search_id}) if as_job else None
    store.change(
        uow.conn,
        actor.scope,
        search_id,
        plan=parse_plan(values).to_dict(),
        state=SearchState.QUEUED,
        job_id=job.id if job else None,
        error=None,
        ended_at=None,
        wish=None,
    )
    uow.audit(actor, "training.search_resume", search_id)
    return get(uow, actor, search_id=search_id)
