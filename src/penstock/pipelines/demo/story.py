"""The demo as a pipeline: nine checkpointed steps from raw mail to a better model in production."""

from collections.abc import Callable
from typing import Any

from penstock.pipelines.demo import data, deployment, improvement, models, traffic
from penstock.pipelines.demo.server import Server
from penstock.pipelines.model import Pipeline, StepContext

NAME = "demo"
TITLES = {
    "data": "Data: ingest, clean, redact, split, register",
    "base": "Base model: pre-train until a probe is content",
    "finetune": "Fine-tune on the historical labels (LoRA)",
    "evaluation": "Evaluate base and tuned; gate",
    "deployment": "Convert to GGUF, evaluate the artefact, deploy",
    "traffic": "Traffic through the gateway with the OpenAI client",
    "review": "Reviewers correct and approve; datasets from traces",
    "first_candidate": "Candidate 1: corrections alone (must be refused)",
    "second_candidate": "Candidate 2: corrections and replay; gate",
    "release": "Canary, compare, promote",
    "final": "Evaluate what users get now",
}


def pipeline(server: Server) -> Pipeline:
    """Return the demo's pipeline on a running server."""

    def served(
        step: Callable[[StepContext, Server], dict[str, Any]],
    ) -> Callable[[StepContext], dict[str, Any]]:
        return lambda context: step(context, server)

    steps = {
        "data": data.stage,
        "base": models.base,
        "finetune": models.finetune,
        "evaluation": models.evaluation,
        "deployment": deployment.stage,
        "traffic": served(traffic.stage),
        "review": improvement.review,
        "first_candidate": improvement.first_candidate,
        "second_candidate": improvement.second_candidate,
        "release": served(improvement.release),
        "final": served(improvement.final),
    }
    return Pipeline(name=NAME, steps=tuple(steps.items()))
