"""Stages 2 to 4: a base model, a fine-tune on the historical labels, and an evaluation with a gate."""

from typing import Any

from penstock.core.errors import Unprocessable
from penstock.evals import service as evals
from penstock.evals.model import EvalRun, GateDecision, Metric
from penstock.evals.suite import Columns, ScorerSpec, Suite
from penstock.pipelines.demo import base_model, recipes
from penstock.pipelines.demo.phrases import INTENTS, PRODUCTS, URGENCIES
from penstock.pipelines.model import StepContext
from penstock.training import service as training
from penstock.training.model import TrainingRun
from penstock.training.recipe import Recipe

MAX_TOKENS = 40
MAX_LOSS = 0.02
"""Exact match that an exported artefact may lose against the model it was made from."""

_FIELDS = {
    "category": list(INTENTS),
    "product": list(PRODUCTS),
    "priority": list(URGENCIES),
}


def suite(context: StepContext, name: str, target: dict[str, Any]) -> Suite:
    """Return the triage suite for one target: the same held-out set and scorers for every model."""
    return Suite(
        name=name,
        dataset=context.results["data"]["test"]["ref"],
        target={"max_tokens": MAX_TOKENS, **target},
        columns=Columns(input="text", expected="label", id="id"),
        scorers=(
            ScorerSpec(name="exact"),
            ScorerSpec(name="fields", options={"keys": list(_FIELDS)}),
            ScorerSpec(
                name="valid_structure", options={"required": list(_FIELDS), "allowed": _FIELDS, "only": True}
            ),
            ScorerSpec(name="bleu"),
            ScorerSpec(name="rouge_l"),
            ScorerSpec(name="latency"),
        ),
        seed=context.inputs["seed"],
    )


def evaluate(context: StepContext, what: str, target: dict[str, Any]) -> EvalRun:
    """Evaluate a target on the held-out set; a run that was interrupted goes on."""
    return evals.run(
        context.home,
        context.actor,
        suite=suite(context, f"triage {what}", target),
        key=f"{context.run_id}:{what}",
    )


def figures(run: EvalRun) -> dict[str, Any]:
    """Return a run's metrics as plain values: name → value, low, high, n."""
    return {m.name: figure(m) for m in run.metrics if not m.split}


def figure(metric: Metric) -> dict[str, Any]:
    """Return one metric as plain values."""
    return {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n, "unit": metric.unit}


def gate(
    context: StepContext, run: EvalRun, rules: list[dict[str, Any]], baseline: EvalRun | str
) -> GateDecision:
    """Decide by `rules` whether a run may go on, recorded with its reasons."""
    baseline_id = baseline if isinstance(baseline, str) else baseline.id
    return evals.decide(context.home, context.actor, run_id=run.id, baseline_id=baseline_id, rules=rules)


def require(decision: GateDecision, what: str) -> None:
    """Raise Unprocessable with the reasons when a gate that must pass did not."""
    if not decision.passed:
        reasons = "; ".join(check.reason for check in decision.checks if not check.passed)
        raise Unprocessable(f"The gate refused {what}: {reasons}")


def reasons(decision: GateDecision) -> list[dict[str, Any]]:
    """Return a decision's checks as plain values."""
    return [{"rule": c.rule, "passed": c.passed, "reason": c.reason} for c in decision.checks]


def train(context: StepContext, what: str, recipe: Recipe) -> TrainingRun:
    """Run a recipe in a child process, showing its progress; an interrupted run goes on from its checkpoint."""

    def show(report: dict[str, Any]) -> None:
        if "loss" in report and "step" in report:
            context.say(
                f"{what}: step {report['step']}/{report.get('steps', '?')}, loss {report['loss']:.3f}"
            )

    return training.execute(
        context.home, context.actor, recipe, key=f"{context.run_id}:{what}", progress=show
    )


def base(context: StepContext) -> dict[str, Any]:
    """Build and pre-train the base model, or take it from the cache."""

    def show(report: dict[str, Any]) -> None:
        if report.get("stage") == "probe":
            scores = ", ".join(f"{name} {value:.2f}" for name, value in report["probe"].items())
            context.say(f"base model: step {report['step']}, probe {scores}")

    version, made = base_model.build(
        context.home, context.actor, seed=context.inputs["seed"], on_progress=show
    )
    context.say(f"{version.ref}: {made['steps']} steps{', from the cache' if made['cached'] else ''}")
    return {
        "model": version.ref,
        "cached": made["cached"],
        "steps": made["steps"],
        "attempts": made["attempts"],
        "probe": made["metrics"],
    }


def finetune(context: StepContext) -> dict[str, Any]:
    """Fine-tune the base model on the historical labels (LoRA)."""
    recipe = recipes.fine_tune(
        base=context.results["base"]["model"],
        dataset=context.results["data"]["history"]["ref"],
        split="train",
        seed=context.inputs["seed"],
    )
    run = train(context, "fine-tune", recipe)
    context.say(f"{run.model} trained on {recipe.dataset}")
    return {"run": run.id, "model": run.model, "metrics": run.metrics}


def evaluation(context: StepContext) -> dict[str, Any]:
    """Evaluate base and tuned model on the held-out set; a gate decides whether the tuned one may go on."""
    base_run = evaluate(context, "base", {"kind": "transformers", "model": context.results["base"]["model"]})
    tuned_run = evaluate(
        context, "tuned", {"kind": "transformers", "model": context.results["finetune"]["model"]}
    )
    rules: list[dict[str, Any]] = [
        {"metric": "exact", "min": 0.7},
        {"metric": "valid_structure", "min": 0.98},
        {"metric": "exact", "better_than": "baseline"},
    ]
    decision = gate(context, tuned_run, rules, base_run)
    with context.home.read() as uow:
        comparison = evals.compare(uow, context.actor, base_run.id, tuned_run.id)
    exact = comparison.difference("exact")
    require(decision, "the tuned model")
    told = {"base": figures(base_run), "tuned": figures(tuned_run)}
    context.say(
        f"exact match: base {told['base']['exact']['value']:.1%}, "
        f"tuned {told['tuned']['exact']['value']:.1%}; gate passed"
    )
    return {
        "base_run": base_run.id,
        "tuned_run": tuned_run.id,
        **told,
        "p_value": exact.p_adjusted if exact else None,
        "gate": {"id": decision.id, "passed": decision.passed, "checks": reasons(decision)},
    }
