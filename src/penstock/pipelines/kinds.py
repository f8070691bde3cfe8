"""What a step of a written pipeline can do; each may be done again when it was interrupted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.core.errors import Invalid, Unprocessable
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.datasets import recipe as cleaning
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.evals import service as evals
from penstock.evals.model import EvalRun
from penstock.evals.suite import aimed_at
from penstock.evals.suites import service as suites
from penstock.feedback import service as feedback
from penstock.pipelines.checking import check_values
from penstock.pipelines.model import StepContext
from penstock.registry import service as registry
from penstock.registry.export import export
from penstock.training import recipe as training_recipes
from penstock.training import service as training
from penstock.training.model import ENDED, RunState

Options = Mapping[str, Any]
BASELINE = "latest-passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of step."""

    do: Callable[[StepContext, str, Options], dict[str, Any]]
    """(context, the step's name, its options with references filled in) → result."""
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


def check(name: str, kind: str, options: Options) -> None:
    """Raise Invalid for options that a kind does not have or lacks, and for a recipe that cannot be read."""
    known = (*KINDS[kind].needs, *KINDS[kind].may)
    for key in options:
        if key not in known:
            raise Invalid(f"Step {name!r}: {kind} has no {key!r}.", hint=did_you_mean(str(key), known))
    missing = [key for key in KINDS[kind].needs if options.get(key) in (None, "", {})]
    if missing:
        raise Invalid(f"Step {name!r}: {kind} needs {', '.join(missing)}.")
    try:
        check_values(kind, options)
        if kind == "train":
            _recipe(options)
    except Invalid as error:
        raise Invalid(f"Step {name!r}: {error.message}", hint=error.hint) from error
    if kind == "dataset" and not str(options["file"]).startswith(("/", "$")):
        raise Invalid(
            f"Step {name!r}: {options['file']!r} is not an absolute path.",
            hint="The command line reads paths from where it runs; over HTTP write them from the root.",
        )


def give_up(uow: UnitOfWork, actor: Actor, run_id: str, step: Options) -> None:
    """Stop what a written step of a run has under way apart from the run itself: a training run that waits its turn."""
    if "train" not in step:
        return
    run = training.by_key(uow, actor, key=f"{run_id}:{step['name']}")
    if run is not None and run.state not in ENDED:
        training.cancel(uow, actor, run_id=run.id)


def _of(version: DatasetVersion) -> dict[str, Any]:
    return {"ref": version.ref, "rows": version.rows, "hash": version.hash, "splits": dict(version.splits)}


def _dataset(context: StepContext, _name: str, options: Options) -> dict[str, Any]:
    steps = options.get("recipe")
    version = datasets.ingest(
        context.home,
        context.actor,
        name=options["name"],
        source=Path(options["file"]),
        recipe=cleaning.parse(steps) if steps else None,
        splits=options.get("splits"),
        seed=int(options.get("seed", 0)),
        key=options.get("key"),
    )
    context.say(f"{version.ref}: {version.rows} rows")
    return _of(version)


def _feedback(context: StepContext, _name: str, options: Options) -> dict[str, Any]:
    version = feedback.build_dataset(context.home, context.actor, **dict(options))
    context.say(f"{version.ref}: {version.rows} rows")
    return _of(version)


def _recipe(options: Options) -> training_recipes.Recipe:
    given, values = options["recipe"], options.get("values") or {}
    if not isinstance(given, str | Mapping):
        raise Invalid(
            f"recipe is a table of keys or the name of a ready recipe, not {given!r}.",
            hint=f"Ready recipes: {', '.join(training_recipes.ready())}.",
        )
    if not isinstance(values, Mapping):
        raise Invalid(f"values is a table of keys, not {values!r}.", hint="Write values: {seed: 1}.")
    return training_recipes.combined(given, values)


def _train(context: StepContext, name: str, options: Options) -> dict[str, Any]:
    seen: list[str] = []

    def hear(report: dict[str, Any]) -> None:
        what = str(report.get("reason") or report.get("stage"))
        if what not in seen[-1:]:
            seen.append(what)
            context.say(f"{name}: {what}")

    opened = training.taken_up(context.home, context.actor, _recipe(options), key=f"{context.run_id}:{name}")
    carry_out = training.carry_out if context.patient else training.perform
    run = carry_out(
        context.home,
        context.actor,
        run_id=opened.id,
        progress=hear,
        cancelled=context.cancelled,
        stopping=context.stopping,
    )
    if run.state is not RunState.SUCCEEDED:
        raise Unprocessable(
            f"The run {run.id} is {run.state}.", hint="Resume it, then run the pipeline again."
        )
    return {"run": run.id, "model": run.model, "base": run.base, "metrics": run.metrics}


def _evaluate(context: StepContext, name: str, options: Options) -> dict[str, Any]:
    with context.home.read() as uow:
        suite = suites.load(uow, context.actor, options["suite"])
    if options.get("model"):
        suite = aimed_at(suite, options["model"])
    key = f"{context.run_id}:{name}"
    run = evals.run(context.home, context.actor, suite=suite, key=key, cancelled=context.halted)
    metrics = {metric.name: metric.value for metric in run.metrics if not metric.split}
    context.say(f"{name}: " + ", ".join(f"{metric} {value:.4g}" for metric, value in metrics.items()))
    found: dict[str, Any] = {"run": run.id, "model": run.model, "metrics": metrics}
    if options.get("gate"):
        found["gate"] = _gate(context, run, options["gate"])
    return found


def _gate(context: StepContext, run: EvalRun, rules: Any) -> str:
    """Return the decision's id; raises Unprocessable when the gate refuses."""
    relative = any("baseline" in (rule or {}).values() for rule in rules if isinstance(rule, Mapping))
    decision = evals.decide(
        context.home,
        context.actor,
        run_id=run.id,
        rules=rules,
        baseline_id=BASELINE if relative else None,
        allow_first=True,
    )
    if not decision.passed:
        reasons = " ".join(check.reason for check in decision.checks if not check.passed)
        raise Unprocessable(f"The gate refused {run.id}: {reasons}")
    return decision.id


def _export(context: StepContext, _name: str, options: Options) -> dict[str, Any]:
    version = export(
        context.home,
        context.actor,
        ref=options["model"],
        format=options.get("format", "gguf"),
        quantization=options.get("quantization", "f16"),
        name=options.get("name", ""),
        cancelled=context.halted,
    )
    context.say(f"exported {version.ref}")
    return {"model": version.ref}


def _alias(context: StepContext, _name: str, options: Options) -> dict[str, Any]:
    with context.home.begin() as uow:
        version = registry.get(uow, context.actor, ref=options["model"])
        alias = str(options["alias"])
        registry.set_alias(uow, context.actor, name=version.model, alias=alias, version=version.number)
    context.say(f"{version.model}@{alias} is {version.ref}")
    return {"model": version.ref, "alias": alias}


def _stage(context: StepContext, _name: str, options: Options) -> dict[str, Any]:
    with context.home.begin() as uow:
        version = registry.set_stage(uow, context.actor, ref=options["model"], stage=options["stage"])
    context.say(f"{version.ref} is in {version.stage}")
    return {"model": version.ref, "stage": str(version.stage)}


KINDS: dict[str, Kind] = {
    "dataset": Kind(do=_dataset, needs=("name", "file"), may=("recipe", "splits", "seed", "key")),
    "feedback": Kind(do=_feedback, needs=("name",), may=("kind", "route", "splits", "seed")),
    "train": Kind(do=_train, needs=("recipe",), may=("values",)),
    "evaluate": Kind(do=_evaluate, needs=("suite",), may=("model", "gate")),
    "export": Kind(do=_export, needs=("model",), may=("format", "quantization", "name")),
    "alias": Kind(do=_alias, needs=("model", "alias")),
    "stage": Kind(do=_stage, needs=("model", "stage")),
}
"""Name → what it does."""
