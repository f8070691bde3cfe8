"""Nouns of hyper-parameter search, and the rules that a plan keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.training import recipe as recipes

DIRECTIONS = ("minimize", "maximize")
MAX_TRIALS, MAX_PARALLEL = 10_000, 64
EVAL = "eval."
"""Objectives with this prefix are metrics of the plan's suite, on the trial's model."""


class SearchState(StrEnum):
    """Where a search is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"
    FAILED = "failed"


FINISHED = frozenset({SearchState.SUCCEEDED, SearchState.STOPPED, SearchState.FAILED})


class TrialState(StrEnum):
    """How far a trial is."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Somebody cancelled its run; the search goes on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing to search: a range of numbers, or choices."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Search the exponents evenly."""
    step: float | None = None
    whole: bool = False
    """Integers only."""
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A figure of a trial and which way is better."""

    metric: str
    """A figure of the run (loss, seconds, cost_usd …), or `eval.NAME` of the suite."""
    direction: str = "minimize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to search and how."""

    recipe: Mapping[str, Any]
    space: Mapping[str, Parameter]
    """Recipe key (`learning_rate`, `adapter.rank`) → what it may be."""
    objectives: tuple[Objective, ...]
    sampler: Mapping[str, Any] = field(default_factory=lambda: {"name": "tpe"})
    """`name` and the sampler's own options."""
    pruner: Mapping[str, Any] = field(default_factory=lambda: {"name": "none"})
    """`name`, `metric` (logged at steps; by default the objective's) and its `direction`, and the pruner's options."""
    trials: int = 20
    parallel: int = 1
    suite: str = ""
    """Stored suite that gives the `eval.` objectives; where there are any, by default the recipe's own."""
    searcher: str = "optuna"
    """Plug-in of `penstock.searchers`."""
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One try: its parameters, its run and what it measured."""

    number: int
    state: TrialState
    params: dict[str, Any]
    values: dict[str, float] = field(default_factory=dict)
    """Objective → figure."""
    run_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search and what came of it so far."""

    id: str
    plan: Plan
    state: SearchState
    job_id: str | None
    error: str | None
    pareto: list[int]
    """Numbers of the trials that no other trial beats in every objective; with one objective, of the best."""
    importance: dict[str, dict[str, float]]
    """Objective → parameter → share of the differences between trials that it explains (PED-ANOVA)."""
    author: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    trials: tuple[Trial, ...] = ()


def _parameter(name: str, given: Any) -> Parameter:
    if isinstance(given, Sequence) and not isinstance(given, str):
        given = {"choices": list(given)}
    if not isinstance(given, Mapping):
        raise Invalid(f"space.{name} must be a list of choices, or low and high.")
    known = ("low", "high", "log", "step", "whole", "choices", "type")
    for key in given:
        if key not in known:
            raise Invalid(f"Unknown key space.{name}.{key}.", hint=did_you_mean(str(key), known))
    if given.get("choices"):
        return Parameter(choices=tuple(given["choices"]))
    try:
        low, high = float(given["low"]), float(given["high"])
        step = float(given["step"]) if given.get("step") is not None else None
    except (KeyError, TypeError, ValueError):
        raise Invalid(f"space.{name} needs numbers low and high, or choices.") from None
    log, whole = bool(given.get("log")), bool(given.get("whole")) or given.get("type") == "int"
    if low > high or (log and low <= 0) or (step is not None and (step <= 0 or log)):
        raise Invalid(
            f"space.{name} is empty or contradicts itself.",
            hint="low ≤ high; log needs low above 0 and no step.",
        )
    return Parameter(low=low, high=high, log=log, step=step, whole=whole)


def _named(value: Any, what: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return dict(value)
    raise Invalid(f"{what} must be a name, or {{name: …}} with options.")


def _objective(value: Any) -> Objective:
    if isinstance(value, str):
        value = {"metric": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("metric"), str):
        raise Invalid("An objective needs a metric and a direction (minimize or maximize).")
    direction = value.get("direction", "minimize")
    if direction not in DIRECTIONS:
        raise Invalid(f"{direction!r} is not a direction.", hint=did_you_mean(str(direction), DIRECTIONS))
    return Objective(metric=value["metric"], direction=direction)


def _whole(values: Mapping[str, Any], name: str, default: int, most: int) -> int:
    found = values.get(name, default)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
        raise Invalid(f"{name} must be a whole number between 1 and {most}, not {found!r}.")
    return found


_KEYS = (
    "recipe",
    "space",
    "objectives",
    "sampler",
    "pruner",
    "trials",
    "parallel",
    "suite",
    "searcher",
    "seed",
)


def _suite_of(recipe: Any, objectives: Sequence[Objective]) -> str:
    """Return the suite that judges the recipe's result, where an objective is a figure of a suite; raises Invalid."""
    return recipes.parse(recipe).judged_by() if _judged(objectives) else ""


def _judged(objectives: Sequence[Objective]) -> bool:
    return any(objective.metric.startswith(EVAL) for objective in objectives)


def parse_plan(values: Mapping[str, Any]) -> Plan:
    """Return the plan of plain values; raises Invalid that names what is wrong."""
    for key in values:
        if key not in _KEYS:
            raise Invalid(f"Unknown key {key}.", hint=did_you_mean(str(key), _KEYS))
    if not values.get("recipe") or not values.get("space") or not values.get("objectives"):
        raise Invalid("A search needs a recipe, a space and objectives.")
    if not isinstance(values["space"], Mapping) or not isinstance(values["objectives"], Sequence):
        raise Invalid("space must be a mapping, objectives a list.")
    space = {str(name): _parameter(str(name), given) for name, given in values["space"].items()}
    objectives = tuple(_objective(value) for value in values["objectives"])
    plan = Plan(
        recipe=values["recipe"],
        space=space,
        objectives=objectives,
        sampler=_named(values.get("sampler") or "tpe", "sampler"),
        pruner=_named(values.get("pruner") or "none", "pruner"),
        trials=_whole(values, "trials", 20, MAX_TRIALS),
        parallel=_whole(values, "parallel", 1, MAX_PARALLEL),
        suite=str(values.get("suite") or "") or _suite_of(values["recipe"], objectives),
        searcher=str(values.get("searcher") or "optuna"),
        seed=int(values.get("seed") or 0),
    )
    _check(plan)
    return plan


def _check(plan: Plan) -> None:
    judged = _judged(plan.objectives)
    if judged and not plan.suite:
        raise Invalid(
            "An eval. objective needs a suite.",
            hint="Set suite: NAME of a stored suite, in the plan or in its recipe.",
        )
    if len({objective.metric for objective in plan.objectives}) < len(plan.objectives):
        raise Invalid("Each objective may stand once.")
    if plan.pruner["name"] != "none":
        if len(plan.objectives) > 1:
            raise Invalid("Pruning needs a single objective.", hint="Use pruner: none.")
        if judged and "metric" not in plan.pruner:
            raise Invalid(
                "A pruner needs a figure that is logged at steps.",
                hint="Write pruner: {name: …, metric: loss, direction: minimize}.",
            )
