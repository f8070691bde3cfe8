"""Stage 5: the converted model, evaluated again and put behind the gateway."""

from typing import Any

from penstock.evals.model import EvalRun
from penstock.pipelines.demo.models import MAX_LOSS, evaluate, figures, gate, reasons, require
from penstock.pipelines.demo.recipes import MODEL
from penstock.pipelines.model import StepContext
from penstock.registry import export as exports
from penstock.registry import service as registry
from penstock.serving import service as serving
from penstock.traces import service as traces

INPUT_USD_PER_MTOK, OUTPUT_USD_PER_MTOK = 0.02, 0.08
"""What the demo's company charges itself for its own small model, per million tokens."""


def convert(
    context: StepContext, what: str, model: str, source_run: str
) -> tuple[str, EvalRun, dict[str, Any]]:
    """Convert `model` to GGUF, evaluate the artefact itself and compare it with the run of what it was made from.

    Returns its reference, its run and the gate's outcome; raises Unprocessable when the conversion lost quality.
    """
    artefact = exports.export(context.home, context.actor, ref=model, format="gguf", quantization="f16")
    run = evaluate(context, f"{what} (GGUF)", {"kind": "gguf", "model": artefact.ref})
    rules = [{"metric": "exact", "not_worse_than": "baseline", "margin": MAX_LOSS}]
    decision = gate(context, run, rules, source_run)
    require(decision, f"the converted {what} model")
    with context.home.begin() as uow:
        registry.record_metrics(uow, context.actor, ref=artefact.ref, metrics=figures(run))
    return artefact.ref, run, {"id": decision.id, "passed": decision.passed, "checks": reasons(decision)}


def stage(context: StepContext) -> dict[str, Any]:
    """Convert, evaluate the artefact, deploy it with llama.cpp and wait until it answers."""
    results = context.results
    ref, run, decision = convert(
        context, "tuned", results["finetune"]["model"], results["evaluation"]["tuned_run"]
    )
    with context.home.begin() as uow:
        traces.put_price(
            uow,
            context.actor,
            model=f"{MODEL}*",
            provider="local",
            input_per_mtok=INPUT_USD_PER_MTOK,
            output_per_mtok=OUTPUT_USD_PER_MTOK,
        )
        deployed = serving.deploy(uow, context.actor, name=MODEL, model=ref, engine="llamacpp")
    serving.until_ready(context.home, context.actor, name=MODEL, number=deployed.production)
    context.say(f"{ref} serves {MODEL} on llama.cpp")
    return {
        "model": ref,
        "run": run.id,
        "artefact": figures(run),
        "gate": decision,
        "deployment": deployed.name,
        "version": deployed.production,
    }
