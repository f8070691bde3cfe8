"""What a plan leaves open: which models, and which way of its metric is better."""

from collections.abc import Sequence

from penstock.core.errors import Invalid
from penstock.evals.model import MetricKind
from penstock.evals.optimise.plan import Plan
from penstock.evals.ports import Scorer
from penstock.prompts.model import PromptVersion


def models_of(plan: Plan, version: PromptVersion) -> tuple[str, ...]:
    """Return the models to try: the plan's, else the one in the prompt's settings; raises Invalid without any."""
    found = plan.models or tuple(
        str(name) for name in [plan.target.get("model") or version.body.settings.get("model")] if name
    )
    if not found:
        raise Invalid(
            "The optimisation needs a model.",
            hint="Write models: [NAME], or name one in the prompt's settings.",
        )
    if len(set(found)) < len(found):
        raise Invalid("A model is named twice.")
    return found


def higher_is_better(scorers: Sequence[Scorer], metric: str) -> bool:
    """Return whether more of the metric is better; raises Invalid for one that no scorer gives for a row."""
    for scorer in scorers:
        found = scorer.measure(metric)
        if found is not None and found.kind is not MetricKind.CORPUS:
            return found.higher_is_better
    names = ", ".join(scorer.name for scorer in scorers)
    raise Invalid(
        f"None of the scorers {names} gives the metric {metric!r} for a single row.",
        hint="Name a per-row metric, for example exact, or add the scorer that gives it.",
    )
