"""Carrying out a search: trials in parallel, each a training run of its own, told to the searcher as they end."""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.core import clock, plugins
from penstock.core.errors import Cancelled, Invalid, PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals import service as evals
from penstock.evals.suite import aimed_at
from penstock.evals.suites import service as suites
from penstock.training import recipe as recipes
from penstock.training import service as training
from penstock.training.model import RunState, TrainingRun
from penstock.training.search import store
from penstock.training.search.model import EVAL, Search, Trial, TrialState
from penstock.training.search.ports import Searcher

_LOOK_SECONDS = 0.5
_HOPELESS = 3
"""So many trials failing, and none succeeding, end a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the one who carries out a search hears, and may want."""

    progress: Callable[[dict[str, Any]], None]
    cancelled: Callable[[], bool]
    stopping: Callable[[], bool]


class Trials:
    """The trials of one search, here and now."""

    def __init__(self, home: Home, actor: Actor, search: Search, folder: Path, hooks: Hooks) -> None:
        self._home, self._actor, self._search, self._plan = home, actor, search, search.plan
        self._progress, self._cancelled, self._stopping = hooks.progress, hooks.cancelled, hooks.stopping
        self._searcher: Searcher = plugins.load("searchers", self._plan.searcher)(self._plan, folder)
        self._lock = threading.Lock()
        self._halt = threading.Event()
        self._looked, self._stop_wanted = float("-inf"), False
        told = [trial for trial in search.trials if trial.state is not TrialState.RUNNING]
        self._told = {trial.number: trial for trial in told}
        self._ended = len(told)
        self._failed = sum(trial.state is TrialState.FAILED for trial in told)

    def stop_wanted(self) -> bool:
        """Whether somebody asked to stop; looks at the database at most twice a second."""
        with self._lock:
            if not self._stop_wanted and clock.monotonic() - self._looked >= _LOOK_SECONDS:
                self._looked = clock.monotonic()
                with self._home.read() as uow:
                    self._stop_wanted = store.stop_wanted(uow.conn, self._actor.scope, self._search.id)
            return self._stop_wanted

    def _halted(self) -> bool:
        return self._halt.is_set() or self._cancelled() or self._stopping() or self.stop_wanted()

    def run(self) -> bool:
        """Run trials until the plan's number has ended; returns True when it was stopped before.

        Raises the last error when all trials failed.
        """
        waiting = self._cut_off()
        running: set[Future[PenstockError | None]] = set()
        with ThreadPoolExecutor(self._plan.parallel, thread_name_prefix="trial") as pool:
            try:
                while not self._halted():
                    while len(running) < self._plan.parallel and (trial := self._next(waiting, len(running))):
                        running.add(pool.submit(self._one, trial))
                    if not running:
                        return False
                    ended, running = wait(running, _LOOK_SECONDS, FIRST_COMPLETED)
                    for future in ended:
                        self._give_up_if_hopeless(future.result())
            finally:
                self._halt.set()
        return True

    def _cut_off(self) -> list[Trial]:
        """Return the trials to go on with; one that had ended when the process died is only told once more."""
        waiting = []
        for trial in self._searcher.unfinished():
            if trial.number in self._told:
                self._searcher.tell(self._told[trial.number])
            else:
                waiting.append(trial)
        return waiting

    def _next(self, waiting: list[Trial], running: int) -> Trial | None:
        if waiting:
            return waiting.pop(0)
        if self._ended + running >= self._plan.trials:
            return None
        with self._lock:
            return self._searcher.ask()

    def _give_up_if_hopeless(self, error: PenstockError | None) -> None:
        if error is not None and self._failed == self._ended >= _HOPELESS:
            raise error

    def _one(self, trial: Trial) -> PenstockError | None:
        """Carry out one trial; returns its error.

        A trial stays open when the search is cut off or its run is paused; a cancelled run ends it.
        """
        self._put(trial)
        pruned = threading.Event()
        try:
            run = self._train(trial, pruned)
            done = replace(
                trial, state=TrialState.COMPLETE, run_id=run.id, values=self._measure(trial.number, run)
            )
            error: PenstockError | None = None
        except Cancelled as cut:
            state = self._cut(trial.number, pruned)
            if state is TrialState.RUNNING:
                return None
            done, error = replace(trial, state=state, error=str(cut)), None
        except PenstockError as failure:
            done, error = replace(trial, state=TrialState.FAILED, error=str(failure)), failure
        self._tell(done)
        return error

    def _cut(self, number: int, pruned: threading.Event) -> TrialState:
        """Return what became of a trial whose run did not get to its end."""
        if pruned.is_set():
            return TrialState.PRUNED
        with self._home.read() as uow:
            run = training.by_key(uow, self._actor, key=self._key(number))
        cancelled = run is not None and run.state is RunState.CANCELLED
        return TrialState.CANCELLED if cancelled and not self._halted() else TrialState.RUNNING

    def _key(self, number: int) -> str:
        return f"{self._search.id}:{number}"

    def _train(self, trial: Trial, pruned: threading.Event) -> TrainingRun:
        recipe = recipes.parse(recipes.merge(self._plan.recipe, trial.params))
        recipe = replace(recipe, name=f"{recipe.name}-trials")

        def listen(report: dict[str, Any]) -> None:
            self._progress({**report, "trial": trial.number})
            if self._plan.pruner["name"] != "none" and report.get("stage") == "train":
                metric = self._plan.pruner.get("metric") or self._plan.objectives[0].metric
                if metric in report and self._prune(trial.number, report, metric):
                    pruned.set()

        run = training.execute(
            self._home,
            self._actor,
            recipe,
            key=self._key(trial.number),
            search=self._search.id,
            progress=listen,
            cancelled=lambda: pruned.is_set() or self._halted(),
        )
        if run.state is not RunState.SUCCEEDED:
            raise Cancelled(f"The trial's run is {run.state}.")
        return run

    def _prune(self, number: int, report: dict[str, Any], metric: str) -> bool:
        with self._lock:
            return self._searcher.report(number, int(report["step"]), float(report[metric]))

    def _measure(self, number: int, run: TrainingRun) -> dict[str, float]:
        """Return every objective's figure; raises Invalid when the run or the suite has none of that name."""
        known = dict(run.metrics)
        if self._plan.suite:
            assert run.model is not None  # it has succeeded
            with self._home.read() as uow:
                suite = suites.load(uow, self._actor, self._plan.suite)
            judged = evals.run(
                self._home,
                self._actor,
                suite=aimed_at(suite, run.model, kind="transformers"),
                key=f"{self._key(number)}:eval",
                cancelled=self._halted,
            )
            known |= {f"{EVAL}{metric.name}": metric.value for metric in judged.metrics if not metric.split}
        wanted = [objective.metric for objective in self._plan.objectives]
        missing = [name for name in wanted if name not in known]
        if missing:
            raise Invalid(
                f"The trial has no figure {missing[0]!r}.", hint=f"It has {', '.join(sorted(known))}."
            )
        return {name: float(known[name]) for name in wanted}

    def _put(self, trial: Trial) -> None:
        with self._home.begin() as uow:
            store.put_trial(uow.conn, self._search.id, trial)

    def _tell(self, trial: Trial) -> None:
        with self._home.read() as uow:
            run = training.by_key(uow, self._actor, key=self._key(trial.number))
        known = replace(trial, run_id=run.id if run else None)
        self._put(known)
        with self._lock:
            self._searcher.tell(known)
            self._ended += 1
            self._failed += known.state is TrialState.FAILED
            found = {"pareto": self._searcher.pareto(), "importance": self._searcher.importance()}
            with self._home.begin() as uow:
                store.change(uow.conn, self._actor.scope, self._search.id, **found)
        self._progress({"stage": "trial", "trial": known.number, "state": str(known.state), **known.values})
