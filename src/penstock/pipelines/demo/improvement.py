"""Stage 7: corrections become datasets, a bad candidate is refused, a good one goes from canary to production."""

from typing import Any

from penstock.core.errors import Unprocessable
from penstock.evals import service as evals
from penstock.evals.model import EvalRun
from penstock.feedback import service as feedback
from penstock.pipelines.demo import recipes
from penstock.pipelines.demo.data import corpus
from penstock.pipelines.demo.deployment import convert
from penstock.pipelines.demo.models import evaluate, figures, gate, reasons, require, train
from penstock.pipelines.demo.recipes import MODEL
from penstock.pipelines.demo.server import Server
from penstock.pipelines.demo.traffic import send
from penstock.pipelines.model import StepContext
from penstock.registry import service as registry
from penstock.serving import service as serving
from penstock.training.model import TrainingRun
from penstock.training.recipe import Recipe

CORRECTIONS, ACCEPTED = "ticket-corrections", "ticket-accepted"
CANARY_SHARE = 0.3
REVIEWER = "reviewer"


def review(context: StepContext) -> dict[str, Any]:
    """Let reviewers correct wrong answers and approve right ones; make datasets of both, linked to the traces."""
    truth = {ticket.id: ticket.answer for ticket in corpus(context.inputs).traffic}
    corrected = 0
    answers = context.results["traffic"]["answers"]
    with context.home.begin() as uow:
        for answer in answers:
            right = truth[answer["ticket"]]
            wrong = answer["answer"] != right
            corrected += wrong
            feedback.give(
                uow,
                context.actor,
                trace_id=answer["trace_id"],
                name="correction" if wrong else "thumb",
                value=right if wrong else 1,
                source=REVIEWER,
                key=f"{context.run_id}:{answer['trace_id']}",
            )
    options: dict[str, Any] = {"route": MODEL, "seed": context.inputs["seed"]}
    pairs = feedback.build_dataset(
        context.home, context.actor, name=CORRECTIONS, kind="preference", **options
    )
    accepted = feedback.build_dataset(context.home, context.actor, name=ACCEPTED, kind="accepted", **options)
    context.say(f"{corrected} of {len(answers)} answers corrected → {pairs.ref}; the others → {accepted.ref}")
    return {
        "reviewed": len(answers),
        "corrected": corrected,
        "corrections": pairs.ref,
        "accepted": accepted.ref,
        "pairs": pairs.rows,
    }


def _candidate(context: StepContext, what: str, recipe: Recipe) -> tuple[TrainingRun, EvalRun]:
    run = train(context, what, recipe)
    return run, evaluate(context, what, {"kind": "transformers", "model": run.model})


def _rules() -> list[dict[str, Any]]:
    return [
        {"metric": "exact", "better_than": "baseline"},
        {"metric": "valid_structure", "min": 0.98},
        {"metric": "exact", "min": 0.9},
    ]


def first_candidate(context: StepContext) -> dict[str, Any]:
    """Train on the corrections alone, too fast; the gate must refuse what comes of it."""
    recipe = recipes.corrections_alone(
        base=context.results["finetune"]["model"],
        dataset=context.results["review"]["corrections"],
        seed=context.inputs["seed"],
    )
    run, judged = _candidate(context, "corrections only", recipe)
    decision = gate(context, judged, _rules(), context.results["evaluation"]["tuned_run"])
    if decision.passed:
        raise Unprocessable("The gate let a candidate pass that was trained to collapse; something is wrong.")
    told = figures(judged)
    reward = run.metrics.get("rewards_accuracies")
    context.say(
        f"{run.model}: reward accuracy {reward if reward is None else f'{reward:.2f}'}, "
        f"but exact match {told['exact']['value']:.1%}: refused"
    )
    return {
        "run": run.id,
        "model": run.model,
        "reward_accuracy": reward,
        "eval": judged.id,
        "figures": told,
        "gate": {"id": decision.id, "passed": decision.passed, "checks": reasons(decision)},
    }


def second_candidate(context: StepContext) -> dict[str, Any]:
    """Train on corrections with accepted answers replayed and an SFT term; the gate must let it pass."""
    recipe = recipes.with_replay(
        base=context.results["finetune"]["model"],
        dataset=context.results["review"]["corrections"],
        accepted=context.results["review"]["accepted"],
        seed=context.inputs["seed"],
    )
    run, judged = _candidate(context, "corrections and replay", recipe)
    decision = gate(context, judged, _rules(), context.results["evaluation"]["tuned_run"])
    require(decision, "the second candidate")
    assert run.model is not None
    artefact, converted, conversion = convert(context, "improved", run.model, judged.id)
    with context.home.read() as uow:
        comparison = evals.compare(uow, context.actor, context.results["evaluation"]["tuned_run"], judged.id)
    exact = comparison.difference("exact")
    told = figures(converted)
    context.say(f"{run.model}: exact match {told['exact']['value']:.1%} as GGUF; gate passed")
    return {
        "run": run.id,
        "model": run.model,
        "artefact": artefact,
        "eval": judged.id,
        "artefact_eval": converted.id,
        "figures": told,
        "p_value": exact.p_adjusted if exact else None,
        "gate": {"id": decision.id, "passed": decision.passed, "checks": reasons(decision)},
        "conversion_gate": conversion,
    }


def release(context: StepContext, server: Server) -> dict[str, Any]:
    """Canary the improved model, compare it with production on real traffic, promote it."""
    artefact = context.results["second_candidate"]["artefact"]
    with context.home.begin() as uow:
        current = serving.status(uow, context.actor, name=MODEL)
        production = current.of(current.deployment.production).version.model
        if production != artefact:
            serving.canary(uow, context.actor, name=MODEL, model=artefact, weight=CANARY_SHARE)
    if production == artefact:
        return {
            "promoted": artefact,
            "canary": None,
            "right": None,
            "note": "promoted before an interruption",
        }
    with context.home.read() as uow:
        candidate = serving.find(uow, context.actor, name=MODEL).candidate
    assert candidate is not None
    serving.until_ready(context.home, context.actor, name=MODEL, number=candidate)
    answers = send(context, server, context.inputs["calls"], context.inputs["canary_calls"])
    with context.home.read() as uow:
        report = serving.canary_report(uow, context.actor, name=MODEL)
    if report.canary.errors:
        raise Unprocessable(f"The canary failed {report.canary.errors} of {report.canary.calls} calls.")
    with context.home.begin() as uow:
        promoted = serving.promote(uow, context.actor, name=MODEL)
        registry.set_alias(
            uow,
            context.actor,
            name=artefact.partition("@")[0],
            alias="production",
            version=int(artefact.partition("@")[2]),
        )
    context.say(
        f"canary took {report.canary.calls} of {len(answers)} calls without an error; {artefact} is in production"
    )
    return {
        "promoted": artefact,
        "version": promoted.production,
        "calls": len(answers),
        "canary": {"calls": report.canary.calls, "errors": report.canary.errors},
        "production": {"calls": report.production.calls, "errors": report.production.errors},
    }


def final(context: StepContext, server: Server) -> dict[str, Any]:
    """Evaluate what users now get: the held-out set through the gateway."""
    target = {"kind": "gateway", "base_url": f"{server.url}/v1", "api_key": server.key, "model": MODEL}
    run = evaluate(context, "after feedback (gateway)", target)
    told = figures(run)
    decision = gate(
        context,
        run,
        [{"metric": "exact", "min": 0.9}, {"metric": "exact", "better_than": "baseline"}],
        context.results["evaluation"]["tuned_run"],
    )
    require(decision, "what is served after the release")
    context.say(f"through the gateway: exact match {told['exact']['value']:.1%}")
    return {"run": run.id, "figures": told, "gate": {"id": decision.id, "passed": decision.passed}}
