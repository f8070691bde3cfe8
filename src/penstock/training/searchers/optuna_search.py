"""Optuna's samplers and pruners (https://optuna.readthedocs.io) on a journal file in the search's folder."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from penstock.core.errors import Invalid, MissingExtra
from penstock.core.suggest import did_you_mean
from penstock.training.search.model import Parameter, Plan, Trial, TrialState

JOURNAL = "trials.journal"
_STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
    TrialState.CANCELLED: optuna.trial.TrialState.FAIL,
}
_ENOUGH = 4
"""Complete trials from which importance is estimated."""
_OWN = ("name", "metric", "direction")


def _grid(plan: Plan, options: dict[str, Any]) -> optuna.samplers.BaseSampler:
    ranges = [name for name, parameter in plan.space.items() if not parameter.choices]
    if ranges:
        raise Invalid(f"A grid needs choices for every parameter; {ranges[0]} is a range.")
    space = {name: list(parameter.choices) for name, parameter in plan.space.items()}
    return optuna.samplers.GridSampler(space, **options)


def _tpe(plan: Plan, options: dict[str, Any]) -> optuna.samplers.BaseSampler:
    # Trials that run beside a new one count as bad ones, so that it looks elsewhere.
    return optuna.samplers.TPESampler(**{"constant_liar": plan.parallel > 1, **options})


def _plain(kind: Any) -> Callable[[Plan, dict[str, Any]], Any]:
    return lambda _plan, options: kind(**options)


_SAMPLERS: dict[str, Callable[[Plan, dict[str, Any]], Any]] = {
    "tpe": _tpe,
    "random": _plain(optuna.samplers.RandomSampler),
    "gp": _plain(optuna.samplers.GPSampler),
    "cmaes": _plain(optuna.samplers.CmaEsSampler),
    "nsga2": _plain(optuna.samplers.NSGAIISampler),
    "nsga3": _plain(optuna.samplers.NSGAIIISampler),
    "qmc": _plain(optuna.samplers.QMCSampler),
    "grid": _grid,
    "bruteforce": _plain(optuna.samplers.BruteForceSampler),
}
_PRUNERS: dict[str, Callable[..., optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "wilcoxon": optuna.pruners.WilcoxonPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}


def _named(known: Mapping[str, Any], given: Mapping[str, Any], what: str) -> tuple[Any, dict[str, Any]]:
    name = given["name"]
    if name not in known:
        raise Invalid(f"There is no {what} {name!r}.", hint=did_you_mean(name, known))
    return known[name], {key: value for key, value in given.items() if key not in _OWN}


def _made(what: str, make: Callable[[], Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return make()
    except (TypeError, ValueError) as error:
        raise Invalid(f"The {what} does not take these options: {error}.") from error
    except ImportError as error:
        raise MissingExtra("search", f"The {what}") from error


def _mended(path: Path) -> str:
    """Drop what a kill left half-done: a line without its end, and the lock; the search's own lock is held."""
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink()
    if path.exists():
        whole = path.read_bytes()
        if whole and not whole.endswith(b"\n"):
            path.write_bytes(whole[: whole.rfind(b"\n") + 1])
    return str(path)


class OptunaSearcher:
    """One study."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan = plan
        storage = JournalStorage(JournalFileBackend(_mended(folder / JOURNAL)))
        make_sampler, options = _named(_SAMPLERS, plan.sampler, "sampler")
        make_pruner, pruning = _named(_PRUNERS, plan.pruner, "pruner")
        # A sampler that starts over after a crash must not propose what it proposed at first.
        known = optuna.get_all_study_names(storage)
        seed = plan.seed + (
            len(optuna.load_study(study_name="search", storage=storage).trials) if known else 0
        )
        options.setdefault("seed", seed)
        self._study = optuna.create_study(
            study_name="search",
            storage=storage,
            sampler=_made("sampler", lambda: make_sampler(plan, options)),
            pruner=_made("pruner", lambda: make_pruner(**pruning)),
            directions=[objective.direction for objective in plan.objectives],
            load_if_exists=True,
        )
        # Samplers that have tried everything stop the library's own loop, which is not used here; `ask` tells it.
        self._study.stop = lambda: None
        self._open: dict[int, optuna.trial.Trial] = {}
        self._combinations = _combinations(plan)
        self._tried = {_key(trial.params) for trial in self._study.get_trials(deepcopy=False)}
        self._sign = 1.0
        prune_direction = plan.pruner.get("direction")
        if prune_direction and prune_direction != plan.objectives[0].direction:
            self._sign = -1.0

    def ask(self) -> Trial | None:
        """Return a new trial, or None when every combination was tried."""
        sampler = self._study.sampler
        if isinstance(sampler, optuna.samplers.GridSampler) and sampler.is_exhausted(self._study):
            return None
        if isinstance(sampler, optuna.samplers.BruteForceSampler) and self._tried_all():
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self._study.ask()
            params = {name: _suggest(trial, name, what) for name, what in self._plan.space.items()}
        self._open[trial.number] = trial
        self._tried.add(_key(params))
        return Trial(number=trial.number, state=TrialState.RUNNING, params=params)

    def _tried_all(self) -> bool:
        return self._combinations is not None and len(self._tried) >= self._combinations

    def unfinished(self) -> list[Trial]:
        """Return trials that a killed search left open."""
        left = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        found = []
        for frozen in left:
            if frozen.number in self._open:
                continue
            missing = set(self._plan.space) - set(frozen.params)
            trial = optuna.trial.Trial(self._study, frozen._trial_id)
            # Killed between asking and the last parameter: the sampler chooses the rest now.
            params = dict(frozen.params)
            params |= {name: _suggest(trial, name, self._plan.space[name]) for name in sorted(missing)}
            self._open[frozen.number] = trial
            found.append(Trial(number=frozen.number, state=TrialState.RUNNING, params=params))
        return found

    def report(self, number: int, step: int, value: float) -> bool:
        """Hear a figure; returns whether the pruner gives the trial up."""
        trial = self._open[number]
        with warnings.catch_warnings():
            # A resumed run repeats steps that were heard already.
            warnings.simplefilter("ignore", UserWarning)
            trial.report(self._sign * value, step)
            return bool(trial.should_prune())

    def tell(self, trial: Trial) -> None:
        """Hear how a trial ended."""
        complete = trial.state is TrialState.COMPLETE
        values = [trial.values[objective.metric] for objective in self._plan.objectives] if complete else None
        self._study.tell(trial.number, values, state=_STATES[trial.state])
        self._open.pop(trial.number, None)

    def pareto(self) -> list[int]:
        """Return the numbers of the best trials."""
        return sorted(trial.number for trial in self._study.best_trials)

    def importance(self) -> dict[str, dict[str, float]]:
        """Return PED-ANOVA importances (https://arxiv.org/abs/2304.10255) once there are a few trials."""
        done = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if len(done) < _ENOUGH:
            return {}
        found = {}
        for place, objective in enumerate(self._plan.objectives):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                shares = optuna.importance.get_param_importances(
                    self._study,
                    evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                    target=lambda trial, place=place: trial.values[place],
                )
            found[objective.metric] = {name: round(float(share), 4) for name, share in shares.items()}
        return found


def _key(params: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


def _combinations(plan: Plan) -> int | None:
    """Return how many different trials the space holds, or None when they cannot be counted."""
    total = 1
    for parameter in plan.space.values():
        size = _size(parameter)
        if size is None:
            return None
        total *= size
    return total


def _size(parameter: Parameter) -> int | None:
    if parameter.choices:
        return len(parameter.choices)
    if parameter.low is None or parameter.high is None or not (parameter.whole or parameter.step):
        return None
    return int((parameter.high - parameter.low) / (parameter.step or 1)) + 1


def _suggest(trial: optuna.trial.Trial, name: str, what: Parameter) -> Any:
    if what.choices:
        return trial.suggest_categorical(name, list(what.choices))
    low, high = float(what.low or 0), float(what.high or 0)
    if what.whole:
        return trial.suggest_int(name, int(low), int(high), step=int(what.step or 1), log=what.log)
    return trial.suggest_float(name, low, high, step=what.step, log=what.log)
