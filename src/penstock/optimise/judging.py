"""What a variant costs and how well it answers, beside its parent."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.evals import service as evals
from penstock.evals.model import EvalRun, Metric
from penstock.evals.suite import Suite, parse_suite
from penstock.optimise.making import Workshop
from penstock.optimise.model import Choice, Figures, Quality, Trial, Variant, is_worse

NO_QUALITY = frozenset({"s", "tokens/s", "tokens", "USD", "usd"})
"""Units of metrics that are costs."""
ERRORS = "error_rate"
"""The metric every run has, and which says nothing about answers."""


def measure(shop: Workshop, variant: Variant, folder: Path, trial: Trial) -> Figures:
    """Return what the variant in `folder` costs, measured in a child process that does nothing else.

    Raises MissingExtra, Invalid, ChildFailed, Cancelled.
    """
    spec = {
        "folder": str(folder),
        "threads": trial.threads,
        "tokens": trial.tokens,
        "repeats": trial.repeats,
        "asked_at": clock.monotonic(),
    }
    found = shop.child("runners", variant.runner, spec, f"measure-{variant.position}")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return msgspec.convert({"size_bytes": size, **found}, Figures)


def suite_for(suite: Suite, ref: str, trial: Trial) -> Suite:
    """Return the suite with the version `ref` as its target, answered locally and greedily."""
    kept = {key: value for key, value in suite.target.items() if key == "prompt_style"}
    target = {"kind": "model", "model": ref, "max_tokens": trial.max_tokens, "threads": trial.threads}
    return replace(suite, target={**target, **kept})


def evaluate(shop: Workshop, recorded: Mapping[str, Any], ref: str, trial: Trial, *, key: str) -> EvalRun:
    """Run the suite on a version; under the same key it goes on where it stopped. Raises what `evals.run` raises."""
    suite = suite_for(parse_suite(recorded), ref, trial)

    def told(report: dict[str, Any]) -> None:
        shop.progress({"stage": "evaluate", "version": ref, **report})

    return evals.run(shop.home, shop.actor, suite=suite, key=key, progress=told, cancelled=shop.cancelled)


def metric_of(run: EvalRun, wanted: str) -> Metric:
    """Return the run's figure for quality: the one named, else of the suite's first scorer that measures no cost.

    Raises Invalid when there is none.
    """
    usable = [m for m in run.metrics if not m.split and m.unit not in NO_QUALITY and m.name != ERRORS]
    if wanted:
        named = next((m for m in run.metrics if not m.split and m.name == wanted), None)
        if named is not None:
            return named
        known = ", ".join(m.name for m in usable) or "none"
        raise Invalid(f"The suite {run.suite!r} gives no metric {wanted!r}.", hint=f"It gives: {known}.")
    for scorer in run.spec["scorers"]:
        found = next((m for m in usable if m.name.startswith(scorer["name"])), None)
        if found is not None:
            return found
    if not usable:
        raise Invalid(f"The suite {run.suite!r} measures no quality.", hint="Add a scorer such as exact.")
    return usable[0]


def quality_of(run: EvalRun, metric: str) -> Quality:
    """Return the parent's figure."""
    found = metric_of(run, metric)
    return Quality(
        metric=found.name,
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        higher_is_better=found.higher_is_better,
        eval_run=run.id,
    )


def compared(shop: Workshop, run: EvalRun, parent: Quality, choice: Choice) -> Quality:
    """Return a variant's figure with its paired difference from the parent's, and whether it is worse."""
    quality = quality_of(run, parent.metric)
    if run.id == parent.eval_run:
        return quality
    with shop.home.read() as uow:
        comparison = evals.compare(uow, shop.actor, parent.eval_run, run.id)
    difference = comparison.difference(parent.metric)
    if difference is None:
        raise Invalid(f"The runs {parent.eval_run} and {run.id} share no answers to compare.")
    judged = replace(
        quality,
        delta=difference.difference,
        delta_low=difference.low,
        delta_high=difference.high,
        p_value=difference.p_value,
        detectable=difference.detectable,
    )
    return replace(judged, worse=is_worse(judged, choice))
